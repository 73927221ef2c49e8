"""An operator's command on a file, in processes that are killed one statement later each time.

    python -m tests.integration.embedded.interrupted replay|discard|restore|cancel|run-now FOLDER

Each begins with a file of its own. What is left there is counted, then the same command comes to its end, and what is
there then is counted. It says how many were killed.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import dramatiq

from actors.brokers.broker import Broker
from actors.brokers.sqlite import SqliteEngine, SqliteOptions
from actors.dead_letters import ALL, DeadLetters, line_of, restoring
from actors.dead_letters.sqlite import graves, replay
from actors.decorator import Actor
from actors.delayed import DelayedMessages
from actors.delayed import sqlite as delayed_sqlite
from middleware.letter import replays_of
from middleware.stores.sqlite import SqliteFile, SqliteStore
from tests.integration.embedded.mortal import MortalFile, forked, say
from tests.unit.brokers.sqlite.graveyard import letter, put_in_graves

NAMES = [f"m{number:02}" for number in range(12)]
HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Counted:
    """How often each message is ready, delayed and dead."""

    ready: Counter[str]
    delayed: Counter[str]
    dead: Counter[str]


class Desk:
    """An operator's look at a file."""

    def __init__(self, file: SqliteFile) -> None:
        self.file = file
        engine = SqliteEngine(SqliteOptions(file))
        self.broker = Broker(lambda: engine, middleware=[])
        Actor(print, broker=self.broker, actor_name="job", queue_name="default", priority=0, options={})
        self.letters = DeadLetters(self.broker, ["default"])
        self.delayed = DelayedMessages(self.broker, lambda: SqliteStore(file))

    def bury(self) -> None:
        bodies = {name: dramatiq.Message[None]("default", "job", (), {}, {}, name).encode() for name in NAMES}
        put_in_graves(self.file, *[letter(name, died=number) for number, name in enumerate(NAMES)], bodies=bodies)

    def delay(self) -> None:
        messages = [dramatiq.Message[None]("default", "job", (), {}, {}, name) for name in NAMES]
        self.broker.enqueue_many(messages, delay=HOUR_MS)

    def archive(self, path: Path) -> None:
        self.bury()
        lines: list[str] = []
        self.letters.export(ALL, lambda buried: lines.append(line_of(buried)))
        path.write_text("\n".join(lines))
        self.letters.discard(ALL)

    def restore(self, path: Path) -> None:
        with path.open("rb") as lines:
            self.letters.restore(lines)

    def counted(self) -> Counted:
        with self.file.read() as connection:
            messages = connection.execute("SELECT message_id, available FROM actors_message").fetchall()
            dead = connection.execute("SELECT message_id FROM actors_dead_letter").fetchall()
        return Counted(
            Counter(name for name, available in messages if not available),
            Counter(name for name, available in messages if available),
            Counter(name for (name,) in dead),
        )


EACH = Counter(NAMES)
NONE: Counter[str] = Counter()


def is_replayed(desk: Desk, counted: Counted) -> bool:
    with desk.file.read() as connection:
        bodies = [body for (body,) in connection.execute("SELECT body FROM actors_message")]
    assert all(replays_of(dramatiq.Message.decode(body)) == 1 for body in bodies)
    assert counted.ready + counted.dead == EACH
    return counted.ready == EACH


def is_dropped(counts: Counter[str]) -> bool:
    assert counts <= EACH
    return counts == NONE


def is_restored(counted: Counted) -> bool:
    assert counted.dead <= EACH
    return counted.dead == EACH


def is_released(counted: Counted) -> bool:
    assert counted.ready + counted.delayed == EACH
    return counted.ready == EACH


@dataclass(frozen=True)
class Command:
    """A command, what there is before it, and what must be true whenever it is killed.

    Attributes:
        prepare: makes what there is.
        run: the command.
        is_done: asserts what must be true; returns whether all is done.
    """

    prepare: Callable[[Desk, Path], object]
    run: Callable[[Desk, Path], object]
    is_done: Callable[[Desk, Counted], bool]


COMMANDS = {
    "replay": Command(lambda desk, _: desk.bury(), lambda desk, _: desk.letters.replay(ALL), is_replayed),
    "discard": Command(
        lambda desk, _: desk.bury(),
        lambda desk, _: desk.letters.discard(ALL),
        lambda _, counted: is_dropped(counted.dead),
    ),
    "restore": Command(Desk.archive, Desk.restore, lambda _, counted: is_restored(counted)),
    "cancel": Command(
        lambda desk, _: desk.delay(),
        lambda desk, _: desk.delayed.cancel(NAMES),
        lambda _, counted: is_dropped(counted.delayed),
    ),
    "run-now": Command(
        lambda desk, _: desk.delay(),
        lambda desk, _: desk.delayed.run_now(NAMES),
        lambda _, counted: is_released(counted),
    ),
}


def main(name: str, folder: str) -> None:
    # Several transactions each.
    graves.STEP = replay.BATCH = restoring.CHUNK = delayed_sqlite.STEP = 5
    command, dies_at, survived = COMMANDS[name], 0, False
    while not survived:
        dies_at += 1
        home = Path(folder) / str(dies_at)
        home.mkdir()
        path, archive = home / "actors.db", home / "archive.jsonl"
        forked(lambda path=path, archive=archive: command.prepare(Desk(MortalFile(path)), archive))
        survived = forked(
            lambda path=path, archive=archive, dies_at=dies_at: command.run(Desk(MortalFile(path, dies_at)), archive)
        )
        with closing(MortalFile(path)) as file:
            desk = Desk(file)
            assert command.is_done(desk, desk.counted()) or not survived
            command.run(desk, archive)
            assert command.is_done(desk, desk.counted())
    say(dies_at - 1)


if __name__ == "__main__":
    main(*sys.argv[1:])
