"""A real scheduler on an SQLite file, as the fault tests run it: ``python -m tests.faults.embedded_replica``.

``FILE`` names the file, ``NAME`` the replica, ``SCHEDULES`` and ``EVERY_MS`` say how many tick how often.
"""

import logging
import os
import signal
import sqlite3
import time
from datetime import timedelta

from middleware.stores.sqlite.errors import FileRefused, FileUnavailable
from middleware.stores.sqlite.file import SqliteFile
from periodic import every
from periodic.schedule import Schedule
from periodic.serving import utc_now
from periodic.sqlite import SCHEMA, SqliteScheduler
from periodic.takeover import Replica
from periodic.tick import Tick

JOBS = "CREATE TABLE IF NOT EXISTS jobs (id TEXT NOT NULL, schedule TEXT NOT NULL, time TEXT NOT NULL, made_ms INTEGER)"
TABLES = (*SCHEMA, JOBS)
TIMEOUT_S = 1.0

# A message: id, schedule, nominal time.
Job = tuple[str, str, str]


def schedules(count: int, every_ms: int) -> dict[str, Schedule]:
    """They catch up with whatever a slow machine has left for later."""
    interval, catch_up = timedelta(milliseconds=every_ms), timedelta(hours=1)
    names = [f"s{number:05}" for number in range(count)]
    return {name: every(interval, catch_up=catch_up).schedule(name, "job") for name in names}


def put(connection: sqlite3.Connection, job: Job) -> None:
    connection.execute("INSERT INTO jobs VALUES (?, ?, ?, ?)", (*job, time.time_ns() // 1_000_000))


def job(schedule: Schedule, tick: Tick) -> Job:
    return tick.id, schedule.name, tick.time.isoformat()


def leave(_: int, __: object) -> None:
    raise SystemExit(0)


def main() -> None:
    """Run until SIGTERM, as the command does."""
    logging.basicConfig(level=logging.INFO, format="[%(asctime)s] [%(name)s] [%(levelname)s] %(message)s")
    signal.signal(signal.SIGTERM, leave)
    mine = schedules(int(os.environ["SCHEDULES"]), int(os.environ["EVERY_MS"]))
    replica = Replica(os.environ["NAME"], utc_now(), mine)
    file = SqliteFile(os.environ["FILE"], schema=TABLES, timeout_s=TIMEOUT_S)
    SqliteScheduler(replica, file, put, job, failures=(FileUnavailable, FileRefused)).run()


if __name__ == "__main__":
    main()
