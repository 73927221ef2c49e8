"""The shop's books, an SQLite file: what was sent, and what has run.

They are outside of what they prove: neither RabbitMQ nor Dramatiq is asked whether a job has run.
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
from dramatiq.middleware import CurrentMessage

PATH = Path(os.environ.get("SHOP_BOOKS", "shop-books.db"))
WORKER = os.environ.get("SHOP_WORKER", f"process {os.getpid()}")

TABLES = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS sent (actor TEXT, queue TEXT, order_id TEXT, PRIMARY KEY (actor, order_id));
CREATE TABLE IF NOT EXISTS run (actor TEXT, order_id TEXT, worker TEXT);
CREATE INDEX IF NOT EXISTS run_order ON run (actor, order_id);
"""

COUNTS = """
SELECT actor, queue, count(*), count(runs), coalesce(sum(runs - 1), 0)
FROM sent LEFT JOIN (SELECT actor, order_id, count(*) AS runs FROM run GROUP BY actor, order_id) USING (actor, order_id)
GROUP BY actor, queue ORDER BY min(sent.rowid)
"""


@dataclass(frozen=True, slots=True)
class Count:
    """Of one actor: the orders it was sent, those that it ran for, and how often it ran for one of them again."""

    actor: str
    queue: str
    sent: int
    run: int
    again: int

    @property
    def lost(self) -> int:
        return self.sent - self.run


def sent(order_id: UUID, *messages: Message[Any]) -> None:
    """Note messages that RabbitMQ has confirmed; a job that is run again sends again, and counts once."""
    rows = [(message.actor_name, message.queue_name, str(order_id)) for message in messages]
    with _db() as db:
        db.executemany("INSERT OR IGNORE INTO sent VALUES (?, ?, ?)", rows)


def ran(order_id: UUID) -> None:
    """Note that the job of this very thread has run."""
    message = CurrentMessage.get_current_message()
    if message is None:  # called, not sent
        return
    with _db() as db:
        db.execute("INSERT INTO run VALUES (?, ?, ?)", (message.actor_name, str(order_id), WORKER))


def counts(path: Path = PATH) -> list[Count]:
    with closing(_open(path)) as db:
        return [Count(*row) for row in db.execute(COUNTS)]


def runs_by_worker(path: Path = PATH) -> dict[str, int]:
    with closing(_open(path)) as db:
        return dict(db.execute("SELECT worker, count(*) FROM run GROUP BY worker").fetchall())


_of_thread = threading.local()


def _db() -> sqlite3.Connection:
    """The connection of this thread, which as a context manager is one transaction."""
    if not hasattr(_of_thread, "db"):
        _of_thread.db = _open(PATH)
    db: sqlite3.Connection = _of_thread.db
    return db


def _open(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=30)
    db.executescript(TABLES)
    return db
