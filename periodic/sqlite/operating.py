"""What operators see of the schedulers of a file, and how they tell the one that leads."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from periodic.changes import Refused, reset
from periodic.inquiry import Inquiry
from periodic.missed import Missed
from periodic.roster import Roster
from periodic.sqlite.desk import REPORT_EVERY_S, now_ms
from periodic.sqlite.file import File
from periodic.sqlite.ledger import read, write_roster, write_watermark
from periodic.sqlite.lock import break_lock, holder
from periodic.status import Role
from periodic.watermark import Watermark

# Who has told nothing of itself for longer is silent, in seconds.
SILENT_AFTER_S = 2.5 * REPORT_EVERY_S
# How often it is looked for an answer, in seconds.
_LOOK_EVERY_S = 0.02


@dataclass(frozen=True, slots=True)
class Present:
    """Which schedulers there are.

    Attributes:
        replicas: what each tells of itself, the leader first; see :func:`periodic.report.as_json`.
        silent: how many more there were a minute ago; they hang, or were killed.
    """

    replicas: Sequence[Mapping[str, Any]]
    silent: int


class SqliteSchedulers:
    """All schedulers of a file, as another process of the same machine sees them.

    Args:
        file: has the tables.

    Raises:
        Exception: from every method, whatever *file* raises.
    """

    def __init__(self, file: File) -> None:
        self._file = file

    def present(self) -> Present:
        """Return which schedulers there are."""
        with self._file.read() as connection:
            rows = connection.execute("SELECT name, status, seen_at FROM actors_periodic_replicas").fetchall()
            leader = holder(connection)
        since = now_ms() - SILENT_AFTER_S * 1000
        told = [(name, json.loads(text), seen_at >= since) for name, text, seen_at in rows]
        # One that says that it leads, and does not, was frozen, or killed.
        alive = [
            status for name, status, is_new in told if is_new and (status.get("role") != Role.LEADING or name == leader)
        ]
        alive.sort(key=lambda status: status.get("role") != Role.LEADING)
        return Present(alive, len(told) - len(alive))

    def ask(self, inquiry: Inquiry, *, timeout_s: float) -> Mapping[str, Any] | None:
        """Return what the leader answers: its ``status``, and ``answer`` or ``refused``; None if none has in time.

        What was not answered is not done later either.
        """
        with self._file.write() as connection:
            connection.execute(
                "INSERT INTO actors_periodic_inquiries VALUES (?, ?, ?, NULL)",
                (inquiry.id, inquiry.encode().decode(), now_ms() + round(timeout_s * 1000)),
            )
        deadline = time.monotonic() + timeout_s
        while self._answer(inquiry) is None and time.monotonic() < deadline:
            time.sleep(_LOOK_EVERY_S)
        with self._file.write() as connection:
            # It may have come at the last moment; now it can't any more.
            answer = self._answer(inquiry)
            connection.execute("DELETE FROM actors_periodic_inquiries WHERE id = ?", (inquiry.id,))
        if answer is None:
            return None
        reply: dict[str, Any] = json.loads(answer)
        return reply

    def kept(self) -> tuple[Roster | None, Watermark | None]:
        """Return roster and watermark.

        Raises:
            ValueError: they can't be read.
        """
        with self._file.read() as connection:
            return read(connection)

    def missed(self, names: set[str]) -> list[Missed]:
        """Return the records of missed ticks of the schedules with *names*, the oldest first."""
        with self._file.read() as connection:
            rows = connection.execute("SELECT schedule, record FROM actors_periodic_missed ORDER BY id").fetchall()
        return [Missed.decode(record.encode()) for schedule, record in rows if schedule in names]

    def reset_watermark(self, to: datetime, now: datetime, *, force: bool) -> str:
        """Move the watermark to *to*, whoever leads or does not; return what was done.

        A leader finds that it leads no more, and begins again with what is in the file.

        Raises:
            Refused: the watermark is sane, or there is none.
            ValueError: what is there can't be read.
        """
        with self._file.write() as connection:
            roster, watermark = read(connection)
            if watermark is None:
                raise Refused("there is no watermark: no scheduler has ever led here")
            made = reset(roster or Roster(), watermark, to, now, force=force)
            break_lock(connection)
            if made.watermark is not None:
                write_watermark(connection, made.watermark)
            if roster is not None:
                write_roster(connection, made.roster)
        return made.text

    def _answer(self, inquiry: Inquiry) -> str | None:
        with self._file.read() as connection:
            found = connection.execute(
                "SELECT answer FROM actors_periodic_inquiries WHERE id = ?", (inquiry.id,)
            ).fetchone()
        answer: str | None = None if found is None else found[0]
        return answer
