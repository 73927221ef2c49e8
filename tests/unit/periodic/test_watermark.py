import json

import pytest

from periodic.tick import Tick
from periodic.watermark import MOST_BEHIND, Watermark
from tests.unit.periodic.moments import after, at

MARK = Watermark(at(10, "m"), after(10), leader="one")


def tick(seconds: float, name: str = "a") -> Tick:
    return Tick(name, after(seconds), after(seconds))


def test_a_tick_that_is_next_moves_the_mark_for_all() -> None:
    moved = MARK.past(tick(11), after(60))

    assert moved.mark == at(11)
    assert moved.of("a") == moved.of("b") == at(11)
    assert moved.moved_at == after(60)


def test_a_tick_of_a_schedule_that_is_behind_moves_that_one_alone() -> None:
    held = MARK.holding_back("a", at(5))
    moved = held.past(tick(6), after(60))

    assert moved.of("a") == at(6)
    assert moved.of("b") == moved.mark == MARK.mark


def test_a_schedule_is_behind_no_more_once_its_tick_is_the_newest_of_all() -> None:
    held = MARK.holding_back("a", at(5)).past(tick(12), after(60))

    assert not held.behind
    assert held.of("a") == at(12)


def test_the_others_leave_behind_what_is_behind() -> None:
    moved = MARK.holding_back("a", at(5)).past(tick(12, "b"), after(60))

    assert moved.of("a") == at(5)
    assert moved.of("b") == at(12, "b")


def test_a_schedule_that_is_behind_stays_where_it_is_however_often_it_fails() -> None:
    assert MARK.holding_back("a", at(5)).holding_back("a", at(7)).of("a") == at(5)


def test_a_batch_catches_up_without_moving_the_mark_and_is_over_once_the_mark_moves() -> None:
    catching_up = Watermark(at(10, "m"), after(10), batch=3, backlog=at(1)).past(tick(4), after(60))

    assert (catching_up.mark, catching_up.backlog) == (at(10, "m"), at(4))
    assert catching_up.past(tick(11), after(60)).backlog is None
    assert catching_up.past(tick(11), after(60)).batch == 3


@pytest.mark.parametrize("name", ["a", "ü" * 255])
def test_it_is_full_before_its_header_would_not_fit_into_a_frame_of_128_kib(name: str) -> None:
    filled = MARK
    for number in range(MOST_BEHIND):
        if not filled.is_full:
            filled = filled.holding_back(f"{name}{number}", at(1, f"{name}{number}"))

    assert filled.is_full
    assert len(filled.encode().encode()) < 70_000


def test_a_header_brings_all_of_it_to_the_next_leader() -> None:
    full = Watermark(at(10), after(11), {"b": at(3, "b")}, batch=7, backlog=at(4), leader="two")

    assert Watermark.decode(full.encode()) == full
    assert Watermark.decode(MARK.encode()) == MARK


def test_what_a_later_version_has_added_is_no_obstacle() -> None:
    added = json.dumps(json.loads(MARK.encode()) | {"colour": "blue"})

    assert Watermark.decode(added) == MARK


@pytest.mark.parametrize(
    "text", ["", "None", "[]", "{}", '{"mark": 1, "batch": 0}', '{"mark": ["x", "a", "x"], "batch": 0}']
)
def test_what_is_no_watermark_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no watermark"):
        Watermark.decode(text)
