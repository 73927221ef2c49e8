"""How attempts are counted."""

from __future__ import annotations

import pytest

import actors.fleet.tally
from actors.fleet.tally import OTHERS, Tally, per_s, work_of_actors
from tests.unit.actors.fleet.scene import ended


def test_attempts_are_counted_by_outcome_and_by_actor() -> None:
    tally = Tally(0.0)
    tally([ended(), ended(outcome="dead"), ended("refund", "retried")])
    tally([ended(outcome="duplicate")])
    now, soon, minute = tally.look(1.0)
    assert now.outcomes == {"done": 1, "dead": 1, "retried": 1, "duplicate": 1}
    assert (now.ended, now.failed) == (4, 2)
    work = work_of_actors(now, soon, minute)
    assert {name: (each.ended, each.failed) for name, each in work.items()} == {"charge": (3, 1), "refund": (1, 1)}


def test_a_rate_is_that_of_the_last_ten_seconds_and_of_the_last_minute() -> None:
    tally = Tally(0.0)
    for second in range(0, 120, 5):
        tally([ended() for _ in range(5 if second < 100 else 50)])
        now, soon, minute = tally.look(float(second))
    assert now.at_s - soon.at_s == 10
    assert per_s(now, soon) == 10.0
    assert now.at_s - minute.at_s == 60
    assert per_s(now, minute) == round((4 * 50 + 8 * 5) / 60, 2)


def test_a_process_that_is_young_has_a_rate_since_its_start() -> None:
    tally = Tally(0.0)
    tally([ended() for _ in range(8)])
    now, soon, minute = tally.look(4.0)
    assert per_s(now, soon) == per_s(now, minute) == 2.0


def test_the_mean_is_that_of_the_last_minute() -> None:
    tally = Tally(0.0)
    tally([ended(duration_ms=100.0)])
    tally.look(1.0)
    tally([ended(duration_ms=4.0), ended(duration_ms=6.0)])
    [work] = work_of_actors(*tally.look(61.5)).values()
    assert (work.ended, work.minute, work.mean_ms) == (3, 2, 5.0)


def test_an_actor_that_has_done_nothing_lately_has_no_mean() -> None:
    tally = Tally(0.0)
    tally([ended(duration_ms=100.0)])
    tally.look(1.0)
    [work] = work_of_actors(*tally.look(120.0)).values()
    assert (work.minute, work.mean_ms, work.per_s) == (0, 0.0, 0.0)


def test_however_many_names_messages_have_few_are_counted_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actors.fleet.tally, "MOST_COUNTED", 2)
    tally = Tally(0.0)
    tally([ended(f"a{number}") for number in range(5)])
    now, *_ = tally.look(1.0)
    assert {name: sums.ended for name, sums in now.actors.items()} == {"a0": 1, "a1": 1, OTHERS: 3}


def test_those_with_most_attempts_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actors.fleet.tally, "MOST_ACTORS", 1)
    tally = Tally(0.0)
    tally([ended("rare"), ended("often"), ended("often")])
    assert list(work_of_actors(*tally.look(1.0))) == ["often"]


def test_no_more_is_remembered_than_a_minute_of_looks() -> None:
    tally = Tally(0.0)
    for second in range(600):
        tally.look(float(second))
    assert len(tally._before) <= 62
