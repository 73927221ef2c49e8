"""Records of the runs of ticks: the newest of each pace."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from actors.brokers.topology import MOST_RUNS
from periodic.pace import Pace


@dataclass(frozen=True, slots=True)
class TickRun:
    """A record of a run of a tick whose schedule has *pace*."""

    pace: Pace
    record: bytes


def note(connection: sqlite3.Connection, run: TickRun, *, most: int = MOST_RUNS) -> None:
    """Keep *run*, within the caller's transaction; the oldest of its pace beyond *most* make room for it."""
    connection.execute("INSERT INTO actors_tick_run (pace, record) VALUES (?, ?)", (run.pace, run.record))
    connection.execute(
        "DELETE FROM actors_tick_run WHERE pace = ?1 AND id <= ("
        " SELECT id FROM actors_tick_run WHERE pace = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
        (run.pace, most),
    )


def newest(connection: sqlite3.Connection, pace: Pace, *, limit: int = MOST_RUNS) -> list[bytes]:
    """Return the records of the newest runs of *pace*, newest first."""
    rows = connection.execute(
        "SELECT record FROM actors_tick_run WHERE pace = ? ORDER BY id DESC LIMIT ?", (pace, limit)
    )
    return [record for (record,) in rows]
