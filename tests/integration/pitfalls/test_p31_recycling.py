"""Pitfall 31: memory grows, and no one recycles workers."""

import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

import services
from services.deadline import until
from tests.integration.embedded.machine import Machine
from tests.integration.project import Project

TASKS = """
    import os
    import time
    from pathlib import Path

    from actors import actor, current

    leaked = []

    def note(number: int) -> None:
        descriptor = os.open("notes", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, f"{number} {os.getpid()} {current().maybe_ran}\\n".encode())
        os.close(descriptor)

    @actor
    def count(number: int) -> None:
        time.sleep(0.001)
        note(number)

    @actor
    def leak(number: int) -> None:
        time.sleep(0.1)
        leaked.append(b"x" * 5 * 2**20)
        note(number)

    @actor
    def hang(number: int) -> None:
        note(number)
        while not current().maybe_ran:
            time.sleep(0.02)
"""

SEND = """
import sys
import actors, growing_tasks
actor = actors.broker.get_actor(sys.argv[1])
actors.enqueue_many(actor.message(number) for number in range(int(sys.argv[2]), int(sys.argv[3])))
"""

ENV = {"ACTORS_MODULES": "growing_tasks", "ACTORS_IDEMPOTENCY_LEASE_MS": "1000"}
RECYCLED = re.compile(r"PID (\d+).* recycling: (.*); (\d+) attempts and (\d+) MiB in all")


@dataclass(frozen=True)
class Run:
    """One start of a job: its number, the process, and whether an earlier start may have done the work."""

    number: int
    process: int
    maybe_ran: bool


class Farm:
    """An application, its messages, and a ``dramatiq`` command with two processes of four threads."""

    def __init__(self, project: Project, left: Callable[[], int]) -> None:
        project.write("growing_tasks", TASKS)
        self.folder = project.folder
        self.left = left
        self._env = project.env | ENV
        self._project = project

    def send(self, actor: str, first: int, last: int) -> None:
        ended = self._project.python("-c", SEND, actor, str(first), str(last), **ENV)
        assert ended.returncode == 0, ended.stderr

    @property
    def runs(self) -> list[Run]:
        """All starts of jobs."""
        file = self.folder / "notes"
        lines = [line.split() for line in file.read_text().splitlines()] if file.exists() else []
        return [Run(int(number), int(process), maybe_ran == "True") for number, process, maybe_ran in lines]

    @property
    def log(self) -> str:
        return (self.folder / "farm.log").read_text()

    def wait_until_all_is_done(self, seconds: float = 60) -> None:
        until(lambda: self.left() == 0, seconds=seconds, what="the end of all jobs")

    @contextmanager
    def working(self, **env: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run the command for the block; what is left of it at the end is killed."""
        with (self.folder / "farm.log").open("ab") as log:
            command = subprocess.Popen(
                [sys.executable, "-m", "dramatiq", "actors", "--processes", "2", "--threads", "4"],
                cwd=self.folder,
                env=self._env | env,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            yield command
        finally:
            with suppress(ProcessLookupError):
                os.killpg(command.pid, signal.SIGKILL)
            command.wait()


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Farm:
    return Farm(Machine(tmp_path).project, lambda: left_in(tmp_path / "jobs.db"))


def left_in(file: Path) -> int:
    with closing(sqlite3.connect(file)) as connection:
        return int(connection.execute("SELECT count(*) FROM actors_message").fetchone()[0])


@pytest.fixture
def on_rabbitmq(project: Project, rabbitmq_server: services.RabbitMQ) -> Farm:
    def left() -> int:
        try:
            messages = rabbitmq_server.messages()
        except services.ServiceError:
            return 1  # a queue has gone while it was asked
        return sum(count for name, count in messages.items() if name.startswith(project.prefix))

    return Farm(project, left)


@pytest.fixture(params=["sqlite", "rabbitmq"])
def farm(request: pytest.FixtureRequest) -> Farm:
    found: Farm = request.getfixturevalue(f"on_{request.param}")
    return found


def test_p31_processes_are_replaced_after_so_many_messages_and_each_message_runs_once(farm: Farm) -> None:
    farm.send("count", 0, 160)
    with farm.working(ACTORS_RECYCLE_AFTER_MESSAGES="40") as command:
        until(lambda: len(farm.runs) == 160, seconds=60, what="all jobs")
        # The command has gone on, and still does
        assert command.poll() is None
        farm.send("count", 160, 161)
        until(lambda: len(farm.runs) == 161, seconds=20, what="a later job")
        farm.wait_until_all_is_done()
        command.terminate()
        assert command.wait(20) == 0, farm.log

    # Each ran once, none of them in a process that had had its share
    assert sorted(run.number for run in farm.runs) == list(range(161))
    assert not any(run.maybe_ran for run in farm.runs)
    shares = Counter(run.process for run in farm.runs)
    assert len(shares) >= 161 / 47
    assert max(shares.values()) <= 44 + 3

    # Each process that has ended says why, and what it was
    said = {int(pid): (why, int(attempts)) for pid, why, attempts, _ in RECYCLED.findall(farm.log)}
    ended = [process for process, share in shares.items() if share >= 44]
    assert {*ended} <= said.keys() <= shares.keys()
    assert all(why.startswith("the most attempts are ") and 36 <= count <= 44 for why, count in said.values())


def test_p31_a_process_whose_memory_grows_is_replaced_before_it_is_too_large(on_sqlite: Farm) -> None:
    farm = on_sqlite
    farm.send("leak", 0, 60)
    with farm.working(ACTORS_RECYCLE_ABOVE_MIB="100") as command:
        until(lambda: len({run.process for run in farm.runs}) > 2, seconds=60, what="a third process")
        farm.wait_until_all_is_done()
        command.terminate()
        assert command.wait(20) == 0, farm.log

    assert sorted(run.number for run in farm.runs) == list(range(60))
    sizes = [int(mib) for _, why, _, mib in RECYCLED.findall(farm.log) if why == "the most memory is 100 MiB"]
    assert sizes
    assert 100 <= min(sizes) <= max(sizes) < 200


def test_p31_a_process_that_is_killed_ends_the_command_as_ever_and_its_jobs_run_again(on_sqlite: Farm) -> None:
    farm, env = on_sqlite, {"ACTORS_RECYCLE_AFTER_MESSAGES": "1000"}
    farm.send("hang", 0, 2)
    with farm.working(**env) as command:
        until(lambda: len(farm.runs) == 2, seconds=30, what="both jobs")
        for process in {run.process for run in farm.runs}:
            os.kill(process, signal.SIGKILL)
        assert command.wait(30) == 1  # Dramatiq, when a process of its own was killed
    assert "exited unexpectedly (code -9)" in farm.log

    with farm.working(**env) as command:
        farm.send("count", 2, 3)
        until(lambda: 2 in {run.number for run in farm.runs}, seconds=30, what="a later job")
        farm.wait_until_all_is_done()
        command.terminate()
        assert command.wait(20) == 0, farm.log
    assert Counter((run.number, run.maybe_ran) for run in farm.runs) == {
        **{(number, maybe_ran): 1 for number in range(2) for maybe_ran in (False, True)},
        (2, False): 1,
    }


def test_p31_a_module_that_can_not_be_imported_ends_the_command_with_status_2(on_sqlite: Farm) -> None:
    with on_sqlite.working(ACTORS_RECYCLE_AFTER_MESSAGES="40", ACTORS_MODULES="no_such_module") as command:
        assert command.wait(30) == 2
    assert "module 'no_such_module' can't be imported" in on_sqlite.log


@pytest.mark.long
@pytest.mark.timeout(600)
def test_p31_nothing_is_lost_where_processes_are_recycled_and_killed_again_and_again(farm: Farm) -> None:
    messages, kills = 20_000, 20
    chance = random.Random(31)
    farm.send("count", 0, messages)
    for _ in range(kills):
        with farm.working(ACTORS_RECYCLE_AFTER_MESSAGES="200") as command:
            before = len(farm.runs)
            until(lambda: len(farm.runs) > before + 500, seconds=60, what="some hundred jobs")  # noqa: B023
            while command.poll() is None:
                # One of those that work now; it may have been replaced just before.
                with suppress(ProcessLookupError):
                    os.kill(chance.choice(farm.runs[-8:]).process, signal.SIGKILL)
                with suppress(subprocess.TimeoutExpired):
                    command.wait(5)
            assert command.returncode == 1
    with farm.working(ACTORS_RECYCLE_AFTER_MESSAGES="200") as command:
        farm.wait_until_all_is_done(300)
        command.terminate()
        assert command.wait(30) == 0, farm.log

    # None is lost; only what a killed process had taken can have run again, and knows
    runs: dict[int, list[bool]] = defaultdict(list)
    for run in farm.runs:
        runs[run.number].append(run.maybe_ran)
    assert runs.keys() == set(range(messages))
    assert all(all(maybe_ran[1:]) for maybe_ran in runs.values())
    assert RECYCLED.search(farm.log)
