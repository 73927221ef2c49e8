"""How deliveries end: in one transaction, of all that have ended, with all that follows them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from actors.brokers.sqlite.dead_letters import Burial, bury
from actors.brokers.sqlite.queues import Queued, put
from actors.brokers.sqlite.tick_runs import TickRun, note

Follower = Queued | TickRun


@dataclass(frozen=True, slots=True)
class Settlement:
    """The end of a delivery.

    Attributes:
        id: of its row.
        requeue: it goes back to its place in the queue.
        followers: what its attempt has sent; nothing follows one that is requeued.
        burial: it has failed for good, and how it lies among the dead letters.
    """

    id: int
    requeue: bool = False
    followers: Sequence[Follower] = ()
    burial: Burial | None = None


def settle(connection: sqlite3.Connection, holder: int, settlements: Sequence[Settlement]) -> list[bool]:
    """End deliveries of *holder*, within the caller's transaction.

    Returns:
        For each whether it was still the holder's. Of one that was not, nothing changes and nothing follows: whoever
        has it now sees to that.
    """
    return [_settle(connection, holder, each) for each in settlements]


def _settle(connection: sqlite3.Connection, holder: int, settlement: Settlement) -> bool:
    if settlement.requeue:
        statement = "UPDATE actors_message SET holder = NULL WHERE id = ? AND holder = ?"
    else:
        statement = "DELETE FROM actors_message WHERE id = ? AND holder = ?"
    if connection.execute(statement, (settlement.id, holder)).rowcount != 1:
        return False
    if not settlement.requeue:
        if settlement.followers:
            put(connection, [each for each in settlement.followers if isinstance(each, Queued)])
            for each in settlement.followers:
                if isinstance(each, TickRun):
                    note(connection, each)
        if settlement.burial is not None:
            bury(connection, settlement.burial)
    return True
