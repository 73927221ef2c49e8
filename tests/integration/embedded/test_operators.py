"""Operators on a file that others use meanwhile."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from actors.brokers.sqlite.bell import Bell, Ear
from actors.dead_letters import ALL, Selection, Terms
from middleware.stores.sqlite import SqliteFile
from tests.integration.embedded.interrupted import EACH, NAMES, Desk
from tests.integration.embedded.mortal import MortalFile


@pytest.fixture
def open_desk(tmp_path: Path) -> Iterator[Callable[[], Desk]]:
    """Return a function that gives a desk with a connection of its own, as another process has it."""
    files: list[SqliteFile] = []

    def opened() -> Desk:
        files.append(MortalFile(tmp_path / "actors.db"))
        return Desk(files[-1])

    yield opened
    for file in files:
        file.close()


def together(*calls: Callable[[], object]) -> None:
    """Let all *calls* begin at one time, and wait for their ends."""
    barrier = threading.Barrier(len(calls))
    failures: list[BaseException] = []

    def run(call: Callable[[], object]) -> None:
        barrier.wait(10)
        try:
            call()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []


def test_of_several_who_replay_or_discard_a_letter_one_does(open_desk: Callable[[], Desk]) -> None:
    desks = [open_desk() for _ in range(3)]
    desks[0].bury()
    done: Counter[str] = Counter()
    one_at_a_time = threading.Lock()

    def note(name: str) -> None:
        with one_at_a_time:
            done[name] += 1

    def replay(desk: Desk) -> None:
        desk.letters.replay(ALL, Terms(rate=500, done=lambda dead: note(f"replay {dead.letter.message_id}")))

    def drop(desk: Desk) -> None:
        desk.letters.discard(Selection(ids=NAMES[::2]), lambda dead: note(f"drop {dead.letter.message_id}"))

    together(
        lambda: replay(desks[0]),
        lambda: replay(desks[1]),
        lambda: desks[2].letters.discard(
            Selection(ids=NAMES[::2]), lambda dead: note(f"drop {dead.letter.message_id}")
        ),
    )
    counted = desks[0].counted()
    assert sum(done.values()) == len(NAMES)
    assert counted.ready == Counter(name.removeprefix("replay ") for name in done if name.startswith("replay"))
    dropped = Counter(name.removeprefix("drop ") for name in done if name.startswith("drop"))
    assert counted.ready + dropped == EACH
    assert not counted.dead


def test_of_two_imports_of_one_archive_at_once_one_puts_a_letter_back(
    open_desk: Callable[[], Desk], tmp_path: Path
) -> None:
    desks = [open_desk() for _ in range(2)]
    archive = tmp_path / "archive.jsonl"
    desks[0].archive(archive)
    together(lambda: desks[0].restore(archive), lambda: desks[1].restore(archive))
    assert desks[0].counted().dead == EACH


def test_workers_are_woken_for_what_is_replayed_or_run_now(open_desk: Callable[[], Desk], tmp_path: Path) -> None:
    desk = open_desk()
    with closing(Ear(Bell(tmp_path / "actors.db"), "default")) as ear:
        desk.bury()
        assert not ear.wait(0)
        desk.letters.replay(ALL)
        assert ear.wait(5)
        desk.delay()
        desk.delayed.run_now(NAMES)
        assert ear.wait(5)


def test_a_look_keeps_no_writer_waiting(open_desk: Callable[[], Desk]) -> None:
    desk, other = open_desk(), open_desk()
    desk.bury()
    met: list[str] = []

    def see(name: str) -> None:
        met.append(name)
        if len(met) == 1:
            # Whoever looks is not within a transaction.
            other.letters.discard(Selection(ids=[NAMES[-1]]))
            other.delay()

    desk.letters.export(ALL, lambda buried: see(buried.letter.message_id))
    assert met == NAMES
    assert desk.counted().dead == Counter(NAMES[:-1])
