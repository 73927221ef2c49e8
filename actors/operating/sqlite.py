"""The schedulers of a file, for an operator of the same machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from dramatiq.errors import ConnectionFailed

from actors.brokers.sqlite import tick_runs
from actors.operating.view import Heard, Reply
from middleware import TickRun
from middleware.stores.sqlite import FileRefused, FileUnavailable, SqliteFile
from periodic.inquiry import STATUS, Inquiry
from periodic.missed import Missed
from periodic.pace import Pace
from periodic.roster import Roster
from periodic.sqlite import SqliteSchedulers
from periodic.sqlite.operating import Present
from periodic.status import Role
from periodic.watermark import Watermark


class SqliteView:
    """See :class:`~actors.operating.view.View`; use :func:`sqlite_view`."""

    problem = ""

    def __init__(self, file: SqliteFile, *, timeout_s: float) -> None:
        self._file = file
        self._timeout_s = timeout_s
        self._schedulers = SqliteSchedulers(file)

    def ask(self, inquiry: Inquiry) -> Heard:
        """Return what all schedulers tell of themselves, and the leader, if there is one, answers to *inquiry*."""
        present = self._schedulers.present()
        return self._heard(present, inquiry, is_told=any(each.get("role") == Role.LEADING for each in present.replicas))

    def tell(self, inquiry: Inquiry) -> Heard:
        """Return what is answered to *inquiry* once a leader has answered it, or there is none, or it is silent."""
        present = self._schedulers.present()
        return self._heard(present, inquiry, is_told=bool(present.replicas or present.silent))

    def _heard(self, present: Present, inquiry: Inquiry, *, is_told: bool) -> Heard:
        replies = [Reply(status) for status in present.replicas]
        if is_told and inquiry.action != STATUS:
            answer = self._schedulers.ask(inquiry, timeout_s=self._timeout_s)
            replies += [] if answer is None else [Reply.of(answer)]
        return Heard(replies, present.silent)

    def kept(self) -> tuple[Roster | None, Watermark | None]:
        """Return roster and watermark."""
        return self._schedulers.kept()

    def runs(self, names: set[str]) -> list[TickRun]:
        """Return the records of runs of schedules with *names*."""
        with self._file.read() as connection:
            bodies = [body for pace in Pace for body in tick_runs.newest(connection, pace)]
        found = []
        for body in bodies:
            try:
                run = TickRun.decode(body)
            except ValueError:
                continue
            if run.schedule in names:
                found.append(run)
        return found

    def missed(self, names: set[str]) -> list[Missed]:
        """Return the records of missed ticks of schedules with *names*."""
        return self._schedulers.missed(names)

    def reset_watermark(self, to: datetime, now: datetime, *, force: bool) -> str:
        """Move the watermark to *to*; return what was done."""
        return self._schedulers.reset_watermark(to, now, force=force)


@contextmanager
def sqlite_view(file: SqliteFile, *, timeout_s: float) -> Iterator[SqliteView]:
    """Look at the schedulers of *file*.

    Args:
        file: where they are.
        timeout_s: how long the leader may take to answer, in seconds.

    Raises:
        ConnectionFailed: the file can't be used.
    """
    try:
        yield SqliteView(file, timeout_s=timeout_s)
    except (FileUnavailable, FileRefused) as error:
        raise ConnectionFailed(str(error)) from error
