"""Schedulers in this process, on an SQLite file, and what they leave in it."""

import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from middleware.stores.sqlite.errors import FileRefused, FileUnavailable
from middleware.stores.sqlite.file import SqliteFile
from periodic.consumers import Destination
from periodic.inquiry import Inquiry
from periodic.roster import Roster
from periodic.schedule import Schedule
from periodic.serving import utc_now
from periodic.sqlite import SCHEMA, SqliteScheduler, SqliteSchedulers
from periodic.sqlite.ledger import write_roster, write_watermark
from periodic.status import Role
from periodic.takeover import Replica
from periodic.tick import Tick
from periodic.watermark import Watermark
from services.deadline import until

JOBS = "CREATE TABLE IF NOT EXISTS jobs (schedule TEXT NOT NULL, time TEXT NOT NULL)"
# Less than a user would set, so that tests of a file that is locked need not wait for long.
TIMEOUT_S = 0.3

Job = tuple[str, str]
Running = SqliteScheduler[Job]


class EmbeddedSite:
    """One file, and replicas of its scheduler.

    Attributes:
        path: of the file.
        seen: what operators see.
        refused: the schedules whose messages are not taken.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "site.db"
        self.refused: set[str] = set()
        self._file = self.file()
        self.seen = SqliteSchedulers(self._file)
        self._running = ExitStack()

    def file(self) -> SqliteFile:
        """The file, as another process opens it."""
        return SqliteFile(self.path, schema=[*SCHEMA, JOBS], timeout_s=TIMEOUT_S)

    def scheduler(
        self,
        *schedules: Schedule,
        name: str = "one",
        generation: int = 0,
        clock: Callable[[], datetime] = utc_now,
        accept: Callable[[Schedule], Schedule] = lambda schedule: schedule,
        publication: Callable[[Schedule, Tick], Job] | None = None,
        is_consumed: Callable[[str], bool] | None = None,
    ) -> Running:
        """A replica that does not run yet."""
        replica = Replica(name, clock(), {each.name: each for each in schedules}, generation, accept)
        return SqliteScheduler(
            replica,
            self.file(),
            self._put,
            publication or (lambda schedule, tick: (schedule.name, tick.time.isoformat())),
            destination=lambda schedule: Destination("default", Named()),
            is_consumed=is_consumed,
            failures=(FileUnavailable, FileRefused),
            clock=clock,
        )

    def start(self, scheduler: Running) -> Callable[[], None]:
        """Run a replica beside the test; return what stops it."""
        thread = threading.Thread(target=scheduler.run)
        thread.start()

        def stop() -> None:
            scheduler.stop()
            thread.join(20)
            assert not thread.is_alive()

        self._running.callback(stop)
        return stop

    @contextmanager
    def leading(self, *schedules: Schedule, **options: Any) -> Iterator[Running]:
        """A replica that leads beside the block."""
        scheduler = self.scheduler(*schedules, **options)
        stop = self.start(scheduler)
        wait_until(scheduler, Role.LEADING)
        yield scheduler
        stop()

    def ask(self, action: str, timeout_s: float = 5.0, **fields: Any) -> Any:
        """What the leader answers to an operator."""
        return self.seen.ask(Inquiry(uuid.uuid4().hex, action, "somebody", fields), timeout_s=timeout_s)

    def begin_with(self, watermark: Watermark, roster: Roster) -> None:
        """Leave in the file what an earlier leader may have left there."""
        with self._file.write() as connection:
            write_watermark(connection, watermark)
            write_roster(connection, roster)

    def execute(self, statement: str) -> list[Any]:
        """What *statement* returns, of somebody who works on the file with another program."""
        with closing(sqlite3.connect(self.path, timeout=10)) as connection, connection:
            return connection.execute(statement).fetchall()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let nobody write for the block."""
        with closing(sqlite3.connect(self.path, timeout=10, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")

    def enqueued(self) -> list[Tick]:
        """The ticks whose messages are in the file, in their order."""
        rows = self.execute("SELECT schedule, time FROM jobs ORDER BY rowid")
        times = [(name, datetime.fromisoformat(time)) for name, time in rows]
        return [Tick(name, time, time) for name, time in times]

    def watermark(self) -> Watermark:
        _, watermark = self.seen.kept()
        assert watermark is not None
        return watermark

    def roster(self) -> Roster:
        roster, _ = self.seen.kept()
        assert roster is not None
        return roster

    def close(self) -> None:
        self._running.close()
        self._file.close()

    def _put(self, connection: sqlite3.Connection, job: Job) -> None:
        connection.execute("INSERT INTO jobs VALUES (?, ?)", job)
        if job[0] in self.refused:
            raise OverflowError("full")


class Named:
    """A queue."""

    name = "default"


def wait_until(scheduler: Running, role: Role) -> None:
    until(lambda: scheduler.status.role is role, seconds=20, what=f"a scheduler that is {role}")


def wait_for_ticks(scheduler: Running, count: int) -> None:
    """Wait until so many more ticks are enqueued."""
    enough = scheduler.status.enqueued + count
    until(lambda: scheduler.status.enqueued >= enough, seconds=20, what=f"{count} ticks")
