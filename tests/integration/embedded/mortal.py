"""A producer and a worker on one file, as processes that are killed, or that kill themselves at a statement.

    python -m tests.integration.embedded.mortal send|work|lives|starve FOLDER …

Actors append a line to the file ``effects`` when they begin, and producers one for each send that has returned; a line
of less than a page is written whole or not at all.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sqlite3
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import dramatiq

from actors.assembly import middleware, swap_store
from actors.brokers.broker import Broker
from actors.brokers.sqlite import SCHEMA, SqliteEngine, SqliteOptions
from actors.decorator import Actor
from actors.errors import EnqueueError
from middleware.attempt import current
from middleware.stores.sqlite import SCHEMA as STORE_SCHEMA
from middleware.stores.sqlite import SqliteFile, SqliteStore
from services.deadline import until

LEASE_MS = 300
# How many messages one `enqueue_many` has.
TOGETHER = 3


class MortalFile(SqliteFile):
    """A file whose process dies before a statement.

    Args:
        path: of the file.
        dies_at: which statement, from 1; None for never.
    """

    def __init__(self, path: Path, dies_at: int | None = None) -> None:
        super().__init__(path, schema=[*STORE_SCHEMA, *SCHEMA])
        self._left = dies_at
        self._counting = threading.Lock()

    @contextmanager
    def write(self, *, synced: bool = True) -> Iterator[sqlite3.Connection]:
        with super().write(synced=synced) as connection, self._counted(connection):
            yield connection

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        with super().read() as connection, self._counted(connection):
            yield connection

    @contextmanager
    def _counted(self, connection: sqlite3.Connection) -> Iterator[None]:
        # It stays for the COMMIT, which comes when this is over.
        if self._left is not None:
            connection.set_trace_callback(self._count)
        yield

    def _count(self, _: str) -> None:
        with self._counting:
            assert self._left is not None
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


class Site:
    """A process on the file in *folder*."""

    def __init__(self, folder: Path, dies_at: int | None = None) -> None:
        self.folder = folder
        file = MortalFile(folder / "actors.db", dies_at)
        swap_store(SqliteStore(file))
        engine = SqliteEngine(SqliteOptions(file, lease_ms=LEASE_MS))
        self.broker = Broker(lambda: engine, middleware=middleware()[1:])
        options = {"lease": LEASE_MS, "max_losses": 1_000, "min_backoff": 1, "max_backoff": 1}
        self.plain = self._declare(self._run, "plain", **options)
        self.stumbling = self._declare(self._stumble, "stumbling", **options)
        self.failing = self._declare(self._fail, "failing", max_retries=0, on_failure="told", **options)
        self._declare(self._tell, "told", **options)

    def note(self, kind: str, key: str) -> None:
        descriptor = os.open(self.folder / "effects", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, f"{kind} {key}\n".encode())
        finally:
            os.close(descriptor)

    def send(self, name: str) -> None:
        """Send one message of each kind, and some together, and note which sends have returned."""
        for actor in (self.plain, self.stumbling, self.failing):
            key = f"{name}-{actor.actor_name}"
            actor.send(key)
            self.note("sent", key)
        together = [f"{name}-together-{number}" for number in range(TOGETHER)]
        self.broker.enqueue_many(self.plain.message(key) for key in together)
        for key in together:
            self.note("sent", key)

    @contextmanager
    def working(self, threads: int) -> Iterator[None]:
        worker = dramatiq.Worker(self.broker, worker_threads=threads, worker_timeout=20)
        worker.start()
        try:
            yield
        finally:
            worker.stop(timeout=10_000)

    def work(self, *, threads: int = 4) -> None:
        """Work until nothing is left."""
        with self.working(threads):
            until(lambda: left(self.folder) == 0, seconds=60, what="the end of all messages")

    def _declare(self, fn: Any, name: str, **options: Any) -> Actor[..., Any]:
        return Actor(fn, broker=self.broker, actor_name=name, queue_name="default", priority=0, options=options)

    def _run(self, key: str) -> None:
        self._began(key)

    def _stumble(self, key: str) -> None:
        self._began(f"{key}#{current().number}")
        if current().number == 1:
            raise RuntimeError("the first attempt fails")

    def _fail(self, key: str) -> None:
        self._began(key)
        raise RuntimeError("every attempt fails")

    def _tell(self, message: dict[str, Any], error: dict[str, str]) -> None:
        self._began(f"told:{message['args'][0]}")

    def _began(self, key: str) -> None:
        # Whoever may have run before knows it; only the first run of all does not.
        self.note("again" if current().maybe_ran else "ran", key)


def left(folder: Path) -> int:
    """Return how many messages are in the file, in whatever state."""
    with closing(sqlite3.connect(folder / "actors.db")) as connection:
        return int(connection.execute("SELECT count(*) FROM actors_message").fetchone()[0])


def dead(folder: Path) -> Counter[str]:
    """Return how often each key is among the dead letters."""
    with closing(sqlite3.connect(folder / "actors.db")) as connection:
        bodies = connection.execute("SELECT body FROM actors_dead_letter").fetchall()
    return Counter(json.loads(body)["args"][0] for (body,) in bodies)


def noted(folder: Path) -> dict[str, Counter[str]]:
    """Return how often each key was noted, by kind: ``sent``, ``ran`` and ``again``."""
    found: dict[str, Counter[str]] = {"sent": Counter(), "ran": Counter(), "again": Counter()}
    path = folder / "effects"
    for line in path.read_text().splitlines() if path.exists() else ():
        kind, key = line.split(" ")
        found[kind][key] += 1
    return found


def forked(run: Any) -> bool:
    """Run *run* in a process of its own; return whether it came to its end, and was not killed."""
    pid = os.fork()
    if pid == 0:
        try:
            run()
            os._exit(0)
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) in (0, -signal.SIGKILL), status
    return status == 0


def lives(folder: Path, first: int, step: int) -> None:
    """Let a process send and work, and die at statement *first*, the next at *first* + *step*, until one survives.

    Another sees to what each has left. Says how many have died.
    """
    dies_at, died = first, 0
    while True:
        home = folder / str(dies_at)
        home.mkdir()

        def live(home: Path = home, dies_at: int = dies_at) -> None:
            site = Site(home, dies_at)
            site.send("job")
            site.work(threads=1)

        survived = forked(live)
        died += not survived
        forked(lambda home=home: Site(home).work())
        if survived:
            say(died)
            return
        dies_at += step


def starve(folder: Path) -> None:
    """Send and work while the disk has no room for more, and when it has some again. Says how often a send failed."""
    site, refused = Site(folder), 0
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with site.working(threads=2):
        site.send("before")
        # No transaction is as short as this, wherever in the log it begins; the file of effects is.
        resource.setrlimit(resource.RLIMIT_FSIZE, (8_192, hard))
        message = site.plain.message("meanwhile")
        for _ in range(3):
            try:
                site.broker.enqueue(message)
            except EnqueueError:
                refused += 1
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        # Once more the same message, whether it may be there or not.
        site.broker.enqueue(message)
        site.note("sent", "meanwhile")
        site.send("after")
        until(lambda: left(folder) == 0, seconds=60, what="the end of all messages")
    say(refused)


def say(word: object) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def main(command: str, folder: str, *arguments: str) -> None:
    home = Path(folder)
    if command == "lives":
        lives(home, *map(int, arguments))
    elif command == "starve":
        starve(home)
    elif command == "work":
        with Site(home).working(threads=4):
            say("ready")
            signal.pause()
    else:
        site = Site(home)
        say("ready")
        for number in range(10_000):
            site.send(f"{arguments[0]}-{number}")


if __name__ == "__main__":
    main(*sys.argv[1:])
