from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.brokers.sqlite.bell import LOOK_EVERY_S, Bell, Ear
from actors.brokers.sqlite.watch import Watch
from middleware.letter import now_ms

LONG = 30.0


@pytest.fixture
def bell(tmp_path: Path) -> Bell:
    return Bell(tmp_path / "actors.db")


@pytest.fixture
def ear(bell: Bell) -> Iterator[Ear]:
    ear = Ear(bell, "default")
    yield ear
    ear.close()


def test_the_first_look_is_due_at_once(ear: Ear) -> None:
    assert Watch(ear).is_due


def test_after_a_look_that_has_found_nothing_the_next_is_due_at_a_ring(bell: Bell, ear: Ear) -> None:
    watch = Watch(ear)
    assert not watch.saw(None)
    bell.ring(["default"])

    watch.wait(LONG)

    assert watch.is_due


def test_or_at_the_moment_that_it_has_found(ear: Ear) -> None:
    watch = Watch(ear)
    moment = now_ms() + 200
    assert not watch.saw(moment)

    while not watch.is_due:
        watch.wait(LONG)

    assert 0 <= now_ms() - moment < LOOK_EVERY_S * 1000


def test_or_when_it_is_time_to_look_anyway(ear: Ear) -> None:
    watch = Watch(ear)
    watch.saw(None)
    started = time.monotonic()

    watch.wait(LONG)

    assert watch.is_due
    assert LOOK_EVERY_S - 0.05 <= time.monotonic() - started < LONG


def test_a_look_that_has_found_more_is_followed_by_another_at_once(ear: Ear) -> None:
    watch = Watch(ear)

    assert watch.saw(0)
    assert watch.saw(now_ms())


def test_whoever_is_only_woken_has_no_need_to_look(ear: Ear) -> None:
    watch = Watch(ear)
    watch.saw(None)
    ear.wake()

    watch.wait(LONG)

    assert not watch.is_due
