"""How much a file has to move."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True, slots=True)
class Counts:
    """How much there is of what, and in which queues.

    Attributes:
        records: of idempotency keys.
        aliases: which message asked for which key.
        groups: of messages, whose end is waited for.
        schedules: with a place in the roster.
        missed: records of ticks that were not enqueued.
        runs: records of runs of ticks.
        dead, delayed, queued: messages.
        queues: dead, delayed and queued messages of each logical queue.
    """

    records: int = 0
    aliases: int = 0
    groups: int = 0
    schedules: int = 0
    missed: int = 0
    runs: int = 0
    dead: int = 0
    delayed: int = 0
    queued: int = 0
    queues: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """How many of these are moved one by one."""
        return self.records + self.missed + self.runs + self.messages

    @property
    def messages(self) -> int:
        """How many messages there are."""
        return self.dead + self.delayed + self.queued

    def by_kind(self) -> dict[str, int]:
        """Return all but the queues."""
        return {name: value for name, value in asdict(self).items() if name != "queues"}


_KINDS = {
    "records": "SELECT count(*) FROM actors_records WHERE expires > :now AND id > :after",
    "aliases": "SELECT count(*) FROM actors_aliases WHERE expires > :now",
    "groups": "SELECT count(*) FROM actors_groups WHERE expires > :now",
    "missed": "SELECT count(*) FROM actors_periodic_missed",
    "runs": "SELECT count(*) FROM actors_tick_run",
}
_QUEUES = """
SELECT queue, 'queued', count(*) FROM actors_message WHERE available = 0 GROUP BY queue
UNION ALL SELECT queue, 'delayed', count(*) FROM actors_message WHERE available > 0 GROUP BY queue
UNION ALL SELECT queue, 'dead', count(*) FROM actors_dead_letter WHERE expires IS NULL OR expires > :now GROUP BY queue
"""


def counts_of(connection: sqlite3.Connection, *, now: int, records_after: int = 0, schedules: int = 0) -> Counts:
    """Return how much there is to move.

    Args:
        connection: in a transaction.
        now: milliseconds since the Unix epoch; what has expired by then is not moved.
        records_after: the id up to which records have been moved already.
        schedules: how many there are in the roster.
    """
    known = {"now": now, "after": records_after}
    found = {kind: connection.execute(statement, known).fetchone()[0] for kind, statement in _KINDS.items()}
    queues: dict[str, dict[str, int]] = {}
    for queue, kind, count in connection.execute(_QUEUES, known):
        queues.setdefault(queue, {"dead": 0, "delayed": 0, "queued": 0})[kind] = count
    sums = {kind: sum(each[kind] for each in queues.values()) for kind in ("dead", "delayed", "queued")}
    return Counts(**found, **sums, schedules=schedules, queues=dict(sorted(queues.items())))
