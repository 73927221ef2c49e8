"""The shop's books, an SQLite file: what was sent, and what has taken effect.

They are outside of what they prove: neither broker nor store is asked whether a job has run.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from dramatiq import Message

from actors import current
from middleware import NoAttempt

PATH = Path(os.environ.get("SHOP_BOOKS", "shop-books.db"))
WORKER = os.environ.get("SHOP_WORKER", f"process {os.getpid()}")

TABLES = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS sent (actor TEXT, queue TEXT, order_id TEXT, PRIMARY KEY (actor, order_id));
CREATE TABLE IF NOT EXISTS run (actor TEXT, order_id TEXT, worker TEXT, maybe_ran INTEGER);
CREATE INDEX IF NOT EXISTS run_order ON run (actor, order_id);
CREATE TABLE IF NOT EXISTS payment (key TEXT PRIMARY KEY, order_id TEXT, paid_at TEXT);
"""

# An order needs one run of an actor; of each that comes on top one should have been told that it may.
COUNTS = """
SELECT actor, queue, count(*), count(runs), coalesce(sum(runs - 1), 0), coalesce(sum(told), 0),
    coalesce(sum(max(0, runs - told - 1)), 0)
FROM sent LEFT JOIN (
    SELECT actor, order_id, count(*) AS runs, sum(maybe_ran) AS told FROM run GROUP BY actor, order_id
) USING (actor, order_id)
GROUP BY actor, queue ORDER BY min(sent.rowid)
"""


@dataclass(frozen=True, slots=True)
class Count:
    """What became of the orders that one actor was sent.

    Attributes:
        sent: the orders.
        run: those that it ran for.
        again: how often it ran for one of them again.
        maybe_ran: how many of its runs were told that an earlier one may have come as far.
        untold: how many that came again were not told.
    """

    actor: str
    queue: str
    sent: int
    run: int
    again: int
    maybe_ran: int
    untold: int

    @property
    def lost(self) -> int:
        return self.sent - self.run


def sent(order_id: UUID, *messages: Message[Any]) -> None:
    """Note messages that are sent for certain; a job that is run again sends again, and counts once."""
    rows = [(message.actor_name, message.queue_name, str(order_id)) for message in messages]
    with database() as db:
        db.executemany("INSERT OR IGNORE INTO sent VALUES (?, ?, ?)", rows)


def ran(order_id: UUID) -> None:
    """Note that the job of this very thread has taken effect."""
    try:
        attempt = current()
    except NoAttempt:  # called, not sent
        return
    with database() as db:
        row = (attempt.message.actor_name, str(order_id), WORKER, attempt.maybe_ran)
        db.execute("INSERT INTO run VALUES (?, ?, ?, ?)", row)


def counts(path: Path = PATH) -> list[Count]:
    with closing(_open(path)) as db:
        return [Count(*row) for row in db.execute(COUNTS)]


def runs_by_worker(path: Path = PATH) -> dict[str, int]:
    with closing(_open(path)) as db:
        return dict(db.execute("SELECT worker, count(*) FROM run GROUP BY worker").fetchall())


def payments(path: Path = PATH) -> int:
    with closing(_open(path)) as db:
        return int(db.execute("SELECT count(*) FROM payment").fetchone()[0])


_of_thread = threading.local()


def database() -> sqlite3.Connection:
    """The connection of this thread, which as a context manager is one transaction."""
    if not hasattr(_of_thread, "db"):
        _of_thread.db = _open(PATH)
    db: sqlite3.Connection = _of_thread.db
    return db


def _open(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=30)
    db.executescript(TABLES)
    return db
