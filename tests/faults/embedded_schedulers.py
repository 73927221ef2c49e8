"""Replicas of one scheduler on an SQLite file, and what they enqueued."""

import os
import random
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import Any

from middleware.stores.sqlite.file import SqliteFile
from periodic.position import Position
from periodic.sqlite import SqliteSchedulers
from periodic.sqlite.lock import holder
from services.deadline import until
from tests.faults.embedded_replica import TABLES, schedules
from tests.faults.replica import Replica
from tests.faults.schedulers import Enqueued, Key

REPLICAS = 3
# Who writes just now is done within this; who is frozen is not.
A_WRITE_S = 0.3


class EmbeddedReplica(Replica):
    """A ``python -m tests.faults.embedded_replica``."""

    @property
    def pid(self) -> int:
        return self._process.pid


class EmbeddedSchedulers:
    """Replicas of one scheduler.

    Attributes:
        path: of the file.
        replicas: all that were started, by name, also those that have ended.
    """

    def __init__(self, folder: Path, count: int, every_ms: int) -> None:
        self.path = folder / "embedded.db"
        self.replicas: dict[str, EmbeddedReplica] = {}
        self._folder = folder
        self._schedules = schedules(count, every_ms)
        self._env = {"FILE": str(self.path), "SCHEDULES": str(count), "EVERY_MS": str(every_ms)}
        self._a_second = count * 1000 / every_ms
        self._file = SqliteFile(self.path, schema=TABLES)
        self._seen = SqliteSchedulers(self._file)

    def start(self) -> EmbeddedReplica:
        name = f"replica-{len(self.replicas)}"
        env = {**self._env, "NAME": name}
        command = ["-m", "tests.faults.embedded_replica"]
        self.replicas[name] = EmbeddedReplica(command, env, self._folder / f"{name}.log")
        return self.replicas[name]

    def start_all(self) -> None:
        for _ in range(REPLICAS):
            self.start()
        self.wait_until_steady()

    def wait_until_steady(self) -> None:
        """Wait until one replica leads, and the others that run stand by."""

        def steady() -> bool:
            running = {name for name, each in self.replicas.items() if each.runs and not each.is_frozen}
            roles = {name: status["role"] for name, status in self.present().items() if name in running}
            leads = [name for name, role in roles.items() if role == "leading"]
            standing_by = [name for name, role in roles.items() if role == "standing by"]
            return len(leads) == 1 and self.leader_name == leads[0] and len(standing_by) == len(running) - 1

        until(steady, seconds=60, what="a leader, and others that stand by")

    def present(self) -> Mapping[str, Mapping[str, Any]]:
        """What each replica tells of itself."""
        return {status["replica"]: status for status in self._seen.present().replicas}

    @property
    def leader_name(self) -> str:
        """Who holds the lock; it may be dead."""
        with self._file.read() as connection:
            return holder(connection)

    @property
    def leader(self) -> EmbeddedReplica:
        return self.replicas[self.leader_name]

    def kill_leader(self) -> datetime:
        """SIGKILL the leader at a random instant, with two standing by, and start another; return when it was."""
        self.wait_until_steady()
        time.sleep(random.uniform(0, 0.3))
        leader, killed = self.leader, datetime.now(UTC)
        leader.kill()
        self.wait_for_another(leader)
        self.start()
        return killed

    def wait_for_another(self, leader: Replica) -> None:
        """Wait until another replica than *leader* leads."""
        until(lambda: self.replicas.get(self.leader_name, leader) is not leader, seconds=20, what="another leader")

    def freeze_leader(self, *, within_a_transaction: bool) -> EmbeddedReplica:
        """SIGSTOP the leader where it holds the file, or does not."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            time.sleep(random.uniform(0, 0.02))
            leader = self.leader
            leader.freeze()
            if self._is_writable() is not within_a_transaction:
                return leader
            leader.thaw()
        raise AssertionError("it was never where it was to be frozen")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let nobody write for the block."""
        with closing(sqlite3.connect(self.path, timeout=10, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")

    def wait_for_more(self, seconds: float = 1.0) -> None:
        """Wait until the ticks of so many seconds more are enqueued."""
        enough = self.count() + seconds * self._a_second
        until(lambda: self.count() >= enough, seconds=60, what=f"the ticks of {seconds:g} s")

    def cpu_s(self) -> dict[str, float]:
        """The processor time that each replica has used, in seconds."""
        ticks = os.sysconf("SC_CLK_TCK")
        used = {}
        for name, each in self.replicas.items():
            fields = Path(f"/proc/{each.pid}/stat").read_text().rpartition(")")[2].split()
            used[name] = (int(fields[11]) + int(fields[12])) / ticks
        return used

    def stop(self) -> list[int]:
        """SIGTERM all replicas, one after the other, and return their exit statuses."""
        return [replica.stop() for replica in self.replicas.values() if replica.runs]

    def enqueued(self) -> Enqueued:
        found = Enqueued()
        with self._file.read() as connection:
            for id_, schedule, at, made_ms in connection.execute("SELECT * FROM jobs"):
                key: Key = schedule, datetime.fromisoformat(at)
                found.copies[key] += 1
                found.ids.setdefault(key, set()).add(id_)
                found.at.append(datetime.fromtimestamp(made_ms / 1000, UTC))
        found.at.sort()
        return found

    def expected(self) -> set[Key]:
        """The ticks that are due after the first leader came, and up to the watermark."""
        roster, watermark = self._seen.kept()
        assert roster is not None
        assert watermark is not None
        began = min(entry.since for entry in roster.entries.values())
        return {
            (tick.schedule, tick.time)
            for schedule in self._schedules.values()
            for tick in takewhile(lambda tick: Position.of(tick) <= watermark.mark, schedule.ticks_after(began))
        }

    def missed(self) -> int:
        return len(self._seen.missed(set(self._schedules)))

    def close(self) -> None:
        for replica in self.replicas.values():
            replica.kill()
        self._file.close()

    def _is_writable(self) -> bool:
        with closing(sqlite3.connect(self.path, timeout=A_WRITE_S, isolation_level=None)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return False
            connection.execute("ROLLBACK")
        return True

    def count(self) -> int:
        """How many messages there are."""
        time.sleep(0.1)  # a machine that is asked all the time makes none
        with self._file.read() as connection:
            return int(connection.execute("SELECT count(*) FROM jobs").fetchone()[0])
