"""One transaction of a consumer: ends what has ended, and takes what there is room for."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from actors.brokers.sqlite import holders, queues
from actors.brokers.sqlite.queues import Taken
from actors.brokers.sqlite.settling import Settlement, settle


@dataclass(frozen=True, slots=True)
class Turn:
    """What a consumer has to do.

    Times are milliseconds since the Unix epoch.

    Attributes:
        queue: the logical queue.
        holder: its number; None if it has none.
        settlements: the deliveries that have ended.
        room: how many messages to take at most.
        now: the time before the transaction: whoever waits long for his turn does not miss others who wait, too.
        until: when the lease is to end.
        worker: the host and process id, for people.
        known: the ids of all that the holder knows it has; None where that is not in doubt.
    """

    queue: str
    holder: int | None
    settlements: Sequence[Settlement]
    room: int
    now: int
    until: int
    worker: str
    known: Collection[int] | None = None


@dataclass(frozen=True, slots=True)
class Taking:
    """What came of a :class:`Turn`.

    Attributes:
        holder: its number; None if it has none, or has lost it, and all that it held.
        settled: for each settlement whether it counts.
        taken: the messages.
        moment: when there is more to take, as :func:`~actors.brokers.sqlite.queues.next_moment` says it.
    """

    holder: int | None
    settled: Sequence[bool] = field(default_factory=list)
    taken: Sequence[Taken] = field(default_factory=list)
    moment: int | None = None


def take(connection: sqlite3.Connection, turn: Turn) -> Taking:
    """Do *turn*, within the caller's transaction."""
    holder = turn.holder
    settled: list[bool] = []
    if holder is not None:
        if not holders.renew(connection, holder, until=turn.until):
            return Taking(None, moment=0)
        settled = settle(connection, holder, turn.settlements)
        if turn.known is not None:
            holders.reconcile(connection, holder, turn.known)
    if not turn.room:
        return Taking(holder, settled, moment=0)
    holders.evict(connection, now=turn.now)
    queues.release_due(connection, turn.queue, now=turn.now)
    moment = queues.next_moment(connection, turn.queue, without=holder)
    taken: list[Taken] = []
    if moment == 0:
        if holder is None:
            holder = holders.enter(connection, turn.queue, until=turn.until, worker=turn.worker)
        taken = queues.claim(connection, turn.queue, holder, limit=turn.room)
        moment = queues.next_moment(connection, turn.queue, without=holder)
    return Taking(holder, settled, taken, moment)
