from periodic.agenda import Agenda, Upcoming
from periodic.tick import Tick
from tests.unit.periodic.moments import MIDNIGHT, after, at, each


def tick(seconds: float) -> Tick:
    return Tick("a", after(seconds), after(seconds))


def test_turns_come_by_time_and_then_by_name() -> None:
    agenda = Agenda()
    for when, name in ((2, "a"), (1, "b"), (1, "a")):
        agenda.push(after(when), name)

    assert agenda.when == after(1)
    assert [agenda.pop() for _ in range(3)] == ["a", "b", "a"]
    assert agenda.when is None


def test_the_next_tick_stays_the_next_until_it_is_out() -> None:
    upcoming = Upcoming(each(10), at(0))
    assert upcoming.tick == upcoming.tick == tick(10)

    upcoming.passed(tick(10))
    assert upcoming.tick == tick(20)
    assert upcoming.position == at(10)


def test_ticks_that_are_kept_come_before_those_behind() -> None:
    upcoming = Upcoming(each(10), at(0))
    assert upcoming.tick == tick(10)

    upcoming.keep([tick(30), tick(40)], at(40))
    assert upcoming.is_kept
    # Whoever goes on from there settles it again.
    assert upcoming.position == at(0)
    for seconds in (30, 40, 50):
        assert upcoming.tick == tick(seconds)
        upcoming.passed(tick(seconds))
    assert not upcoming.is_kept


def test_what_is_settled_with_nothing_kept_is_not_settled_again() -> None:
    upcoming = Upcoming(each(10), at(0))
    upcoming.keep([], at(40))

    assert upcoming.position == at(40)
    assert upcoming.tick == tick(50)
    assert not upcoming.is_kept


def test_a_schedule_that_is_over_has_no_next_tick() -> None:
    assert Upcoming(each(10, end=after(5), start=MIDNIGHT), at(1)).tick is None
