"""How a term begins: the lock is taken, and what the last leader has left is read and made good, in one transaction."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from periodic.position import Position
from periodic.run_time import with_run_time_schedules
from periodic.sqlite.file import File, Put
from periodic.sqlite.ledger import SqliteLedger, read, write_roster, write_watermark
from periodic.sqlite.lock import Lock
from periodic.takeover import MustNotLead, Replica, take_over

log = logging.getLogger(__name__)

Publication = TypeVar("Publication")


@dataclass(frozen=True, slots=True)
class Term(Generic[Publication]):
    """What a leader goes on with.

    Attributes:
        ledger: has begun.
        positions: behind which each schedule goes on.
        replica: who leads, with all schedules that it knows.
    """

    ledger: SqliteLedger[Publication]
    positions: Mapping[str, Position]
    replica: Replica


def begin(
    file: File, lock: Lock, put: Put[Publication], suspects: set[str], replica: Replica, now: datetime
) -> Term[Publication] | None:
    """Return a new term of *replica*; None if another one holds the lock.

    Raises:
        MustNotLead: it leaves the term to another replica, and has not taken the lock.
        Exception: whatever *file* raises.
    """
    with file.write() as connection:
        if not lock.take(connection):
            return None
        try:
            roster, watermark = read(connection)
        except ValueError as error:
            raise MustNotLead(str(error)) from None
        if watermark is None and roster is not None:
            log.error("the watermark is lost; ticks that are due before %s are neither known nor enqueued", now)
        replica = with_run_time_schedules(replica, roster)
        takeover = take_over(roster, watermark, replica, now)
        if takeover.watermark != watermark:
            write_watermark(connection, takeover.watermark)
        if takeover.is_new:
            write_roster(connection, takeover.roster)
    ledger = SqliteLedger(file, lock, put, suspects, takeover.watermark, takeover.roster)
    return Term(ledger, takeover.positions, replica)
