from datetime import timedelta
from itertools import islice

from periodic.position import Position, ticks_behind
from periodic.tick import Tick
from tests.unit.periodic.moments import MIDNIGHT, after, at, each


def test_ticks_stand_by_when_they_are_due_and_then_by_name() -> None:
    ticks = [Tick(name, MIDNIGHT, after(due)) for due in (0, 1) for name in "ab"]

    assert sorted(ticks) == sorted(ticks, key=Position.of) == ticks


def test_the_ticks_behind_a_position_are_those_that_stand_there() -> None:
    assert [tick.due for tick in islice(ticks_behind(each(1), at(3)), 2)] == [after(4), after(5)]
    assert [tick.due for tick in islice(ticks_behind(each(1), at(3.5)), 2)] == [after(4), after(5)]


def test_of_schedules_that_tick_at_once_only_those_with_a_later_name_are_behind() -> None:
    position = at(3, "b")

    assert next(ticks_behind(each(1, "a"), position)).due == after(4)
    assert next(ticks_behind(each(1, "b"), position)).due == after(4)
    assert next(ticks_behind(each(1, "c"), position)).due == after(3)


def test_behind_all_of_a_moment_no_tick_of_that_moment_is_left() -> None:
    for name in ("a", "z", "\u00ff", "\U0001f600"):
        assert next(ticks_behind(each(1, name), Position.behind_all(after(3)))).due == after(4)


def test_ticks_of_one_schedule_that_are_due_at_once_stand_by_their_times() -> None:
    first, second = Tick("a", after(1), after(5)), Tick("a", after(2), after(5))

    class Crowded:
        def ticks_after(self, moment: object) -> object:
            return iter([first, second])

    assert list(ticks_behind(Crowded(), Position.of(first))) == [second]  # type: ignore[arg-type]


def test_jitter_changes_what_is_behind_for_all_replicas_alike() -> None:
    schedule = each(10, jitter=timedelta(seconds=9))
    ticks = list(islice(schedule.ticks_after(MIDNIGHT), 20))

    for number, tick in enumerate(ticks[:-1]):
        assert next(ticks_behind(schedule, Position.of(tick))) == ticks[number + 1]


def test_json_keeps_a_position_to_the_microsecond() -> None:
    position = at(1.000001, "ü")

    assert Position.from_json(position.to_json()) == position
