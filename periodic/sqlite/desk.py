"""Where replicas tell of themselves, and the leader answers operators: in tables of the file."""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from periodic.inquiry import STATUS, Inquiry
from periodic.office import LeadersOffice
from periodic.report import as_json
from periodic.sqlite.file import File
from periodic.sqlite.ledger import SqliteLedger
from periodic.status import Status

log = logging.getLogger(__name__)

# How often who stands by tells of itself, and how long who does not is still spoken of, in seconds.
REPORT_EVERY_S, FORGET_AFTER_S = 5.0, 60.0
# How often the leader looks whether it is asked something, in seconds.
LISTEN_EVERY_S = 0.2


def now_ms() -> int:
    """Return milliseconds since the Unix epoch."""
    return time.time_ns() // 1_000_000


def report(connection: sqlite3.Connection, status: Status, now: datetime) -> None:
    """Put down what a replica tells of itself, and forget who has told nothing for long."""
    text, at = json.dumps(as_json(status, now)), now_ms()
    connection.execute("INSERT OR REPLACE INTO actors_periodic_replicas VALUES (?, ?, ?)", (status.replica, text, at))
    connection.execute("DELETE FROM actors_periodic_replicas WHERE seen_at < ?", (at - FORGET_AFTER_S * 1000,))


def leave(connection: sqlite3.Connection, replica: str) -> None:
    """Forget *replica*, which has ended."""
    connection.execute("DELETE FROM actors_periodic_replicas WHERE name = ?", (replica,))


class LeadersDesk:
    """Answers what operators have asked, between two ticks.

    A change is made, and answered, in one transaction: who asked knows that it was done, or nothing was.

    Args:
        file: has the tables.
        ledger: of the term.
        office: of the term.
        status: of the replica.
        clock: what time it is.

    Raises:
        Exception: from every method, whatever *file* or *ledger* raises; the term is over.
    """

    def __init__(
        self,
        file: File,
        ledger: SqliteLedger[Any],
        office: LeadersOffice,
        status: Status,
        clock: Callable[[], datetime],
    ) -> None:
        self._file = file
        self._ledger = ledger
        self._office = office
        self._status = status
        self._clock = clock
        self._listened_at = float("-inf")

    def answer(self) -> None:
        """Answer what is asked, if it is time to look, until the term of the office is over."""
        if time.monotonic() - self._listened_at < LISTEN_EVERY_S:
            return
        self._listened_at = time.monotonic()
        with self._file.read() as connection:
            asked = connection.execute(
                "SELECT id, body FROM actors_periodic_inquiries WHERE answer IS NULL AND until_ms > ?", (now_ms(),)
            ).fetchall()
        for id_, body in asked:
            if self._office.is_over:
                return
            self._answer(id_, body)

    def sweep(self, connection: sqlite3.Connection) -> None:
        """Throw away what whoever asked will not fetch any more."""
        connection.execute(
            "DELETE FROM actors_periodic_inquiries WHERE until_ms < ?", (now_ms() - FORGET_AFTER_S * 1000,)
        )

    def _answer(self, id_: str, body: str) -> None:
        with self._ledger.transaction() as connection:
            # Whoever asked may have given up meanwhile, and then nothing must be changed.
            still = "WHERE id = ? AND answer IS NULL AND until_ms > ?"
            if not connection.execute(f"SELECT 1 FROM actors_periodic_inquiries {still}", (id_, now_ms())).fetchone():  # noqa: S608
                return
            reply = json.dumps({"status": as_json(self._status, self._clock()), **self._reply(body)})
            self._ledger.flush()
            connection.execute("UPDATE actors_periodic_inquiries SET answer = ? WHERE id = ?", (reply, id_))

    def _reply(self, body: str) -> dict[str, Any]:
        try:
            inquiry = Inquiry.decode(body.encode())
        except ValueError as error:
            log.warning("%s", error)
            return {"refused": str(error)}
        return {} if inquiry.action == STATUS else dict(self._office.answer(inquiry))
