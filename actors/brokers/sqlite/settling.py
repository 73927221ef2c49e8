"""How deliveries end: in one transaction, of all that have ended, with all that follows them."""

from __future__ import annotations

import json
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
    ended = _delete(connection, holder, [each.id for each in settlements if not each.requeue])
    return [
        _give_back(connection, holder, each.id) if each.requeue else each.id in ended and _follow(connection, each)
        for each in settlements
    ]


def _delete(connection: sqlite3.Connection, holder: int, ids: list[int]) -> set[int]:
    """Delete those of *ids* that are *holder*'s, and return them."""
    if not ids:
        return set()
    rows = connection.execute(
        "DELETE FROM actors_message WHERE id IN (SELECT value FROM json_each(?)) AND holder = ? RETURNING id",
        (json.dumps(ids), holder),
    )
    return {ended for (ended,) in rows}


def _give_back(connection: sqlite3.Connection, holder: int, message: int) -> bool:
    statement = "UPDATE actors_message SET holder = NULL WHERE id = ? AND holder = ?"
    return connection.execute(statement, (message, holder)).rowcount == 1


def _follow(connection: sqlite3.Connection, settlement: Settlement) -> bool:
    """Write what follows a delivery that has ended; return True."""
    if settlement.followers:
        put(connection, [each for each in settlement.followers if isinstance(each, Queued)])
        for each in settlement.followers:
            if isinstance(each, TickRun):
                note(connection, each)
    if settlement.burial is not None:
        bury(connection, settlement.burial)
    return True
