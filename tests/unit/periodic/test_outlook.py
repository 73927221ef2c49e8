"""What comes next is known before a term begins, and is the same as if it were found out then."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice

import pytest

from periodic import outlook as module
from periodic.agenda import Upcoming
from periodic.leader import Leader
from periodic.outlook import Outlook
from periodic.position import Position
from periodic.schedule import Schedule
from periodic.status import Status
from periodic.tick import Tick
from periodic.triggers.trigger import Firing, Trigger
from tests.unit.periodic.moments import MIDNIGHT, after, at, each
from tests.unit.periodic.queues_in_memory import QueuesInMemory, publication


@dataclass(frozen=True)
class Asked(Trigger):
    """Fires each second, and notes from when on it is asked."""

    asked: list[datetime] = field(default_factory=list, compare=False)
    broken: list[bool] = field(default_factory=list, compare=False)

    @property
    def text(self) -> str:
        return "asked"

    def firings(self, after: datetime) -> Iterator[Firing]:
        self.asked.append(after)
        time = after.replace(microsecond=0)
        while True:
            time += timedelta(seconds=1)
            if self.broken:
                raise RuntimeError("a trigger's own")
            yield Firing(time)


def asked() -> tuple[Schedule, Asked]:
    trigger = Asked()
    return Schedule(name="a", actor="job", trigger=trigger), trigger


def next_three(upcoming: Upcoming) -> list[Tick]:
    ticks: list[Tick] = []
    while len(ticks) < 3 and (tick := upcoming.tick) is not None:
        ticks.append(tick)
        upcoming.passed(tick)
    return ticks


def behind(schedule: Schedule, position: Position) -> list[Tick]:
    return next_three(Upcoming(schedule, position))


@pytest.mark.parametrize("followed", [0, 4, 30, 500])
@pytest.mark.parametrize(
    "position", [at(0), at(10), at(9.5), at(25, "b"), at(25, "A"), Position.behind_all(after(400))]
)
def test_the_ticks_behind_a_position_are_the_same_whatever_was_followed(followed: float, position: Position) -> None:
    schedules = [each(1), each(10, "b"), each(1, "c", jitter=900), each(10, "d", start=after(20), end=after(30))]
    outlook = Outlook(schedules, MIDNIGHT)
    while outlook.follow(after(followed)):
        pass

    for schedule in schedules:
        assert next_three(outlook.upcoming(schedule, position)) == behind(schedule, position)


def test_a_schedule_that_was_followed_is_not_asked_again() -> None:
    schedule, trigger = asked()
    outlook = Outlook([schedule], MIDNIGHT)
    outlook.follow(after(30))
    # As late as a leader may be without a word to whoever stands by.
    assert outlook.upcoming(schedule, at(26)).tick == Tick("a", after(27), after(27))

    assert len(trigger.asked) == 1


def test_a_leader_asks_for_nothing_that_it_knew_when_it_stood_by() -> None:
    schedule, trigger = asked()
    leader = Leader(
        QueuesInMemory().ledger(),
        {"a": schedule},
        {"a": at(3)},
        publication,
        Status("r"),
        after(4),
        Outlook([schedule], MIDNIGHT),
    )

    assert leader.next_turn() == after(4)
    assert len(trigger.asked) == 1


def test_a_schedule_that_an_operator_has_made_is_known_in_the_next_term_too() -> None:
    schedule, trigger = asked()
    outlook = Outlook([], MIDNIGHT)
    assert outlook.upcoming(schedule, at(3)).tick == Tick("a", after(4), after(4))
    assert outlook.upcoming(replace(schedule), at(4)).tick == Tick("a", after(5), after(5))

    assert len(trigger.asked) == 1


def test_a_leader_that_had_nothing_to_do_for_long_has_a_successor_that_asks_nobody() -> None:
    schedules = [replace(asked()[0], name=name, start=after(10)) for name in "ab"]
    daily = each(86_400, "daily", start=after(10))
    outlook = Outlook([*schedules, daily], MIDNIGHT)
    outlook.follow(after(5_000))

    upcoming = outlook.upcoming(daily, at(10, "daily"))
    assert upcoming is outlook.upcoming(daily, at(10, "e"))
    assert upcoming.tick == Tick("daily", after(86_410), after(86_410))


def test_what_is_far_behind_is_asked_once_and_not_passed_tick_by_tick() -> None:
    schedule, trigger = asked()
    outlook = Outlook([schedule], MIDNIGHT)
    assert outlook.upcoming(schedule, at(86_400)).tick == Tick("a", after(86_401), after(86_401))

    assert len(trigger.asked) == 2


def test_what_a_term_has_passed_the_next_one_goes_on_behind() -> None:
    schedule, trigger = asked()
    outlook = Outlook([schedule], MIDNIGHT)
    passed = next_three(outlook.upcoming(schedule, at(5)))
    assert next_three(outlook.upcoming(schedule, Position.of(passed[-1]))) == behind(schedule, at(8))
    assert len(trigger.asked) == 2

    # One that stands by again follows, and is never ahead of a leader that is late.
    outlook.follow(after(60))
    assert next_three(outlook.upcoming(schedule, at(12))) == behind(schedule, at(12))


def test_what_a_term_has_settled_is_settled_again_by_the_next() -> None:
    schedule = each(10)
    outlook = Outlook([schedule], MIDNIGHT)
    outlook.upcoming(schedule, at(10)).keep([Tick("a", after(90), after(90))], at(90))

    assert next_three(outlook.upcoming(schedule, at(10))) == behind(schedule, at(10))


def test_of_another_schedule_under_the_same_name_nothing_is_known() -> None:
    outlook = Outlook([each(10)], MIDNIGHT)

    assert next_three(outlook.upcoming(each(7), at(0))) == behind(each(7), at(0))


def test_a_trigger_that_raises_holds_up_nobody_and_goes_on_where_the_term_begins() -> None:
    schedule, trigger = asked()
    trigger.broken.append(True)
    outlook = Outlook([schedule, each(1, "b")], MIDNIGHT)
    assert not outlook.follow(after(30))
    upcoming = outlook.upcoming(schedule, at(20))
    with pytest.raises(RuntimeError):
        _ = upcoming.tick

    trigger.broken.clear()
    assert upcoming.tick == Tick("a", after(21), after(21))


def test_many_ticks_are_passed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 10)
    outlook = Outlook([each(1)], MIDNIGHT)

    parts = list(islice(iter(lambda: outlook.follow(after(30)), False), 100))
    assert len(parts) in {2, 3}
