"""Terms of one leader, on queues in memory."""

import logging
from datetime import datetime, timedelta

import pytest

from periodic.leader import Leader
from periodic.missed import Missed
from periodic.queues import Publication
from periodic.schedule import Schedule
from periodic.status import Status
from periodic.takeover import take_over
from periodic.tick import Tick
from periodic.watermark import MOST_BEHIND, Watermark
from tests.unit.periodic.moments import MIDNIGHT, after, at, each
from tests.unit.periodic.queues_in_memory import QueuesInMemory, publication, replica_of


class Term:
    """A leader of *schedules* from midnight on."""

    def __init__(self, *schedules: Schedule, queues: QueuesInMemory | None = None, now: datetime = MIDNIGHT) -> None:
        self.queues = queues or QueuesInMemory()
        self.status = Status("r")
        self.broken: set[str] = set()
        roster, watermark = self.queues.read()
        replica = replica_of(*schedules, started=MIDNIGHT)
        takeover = take_over(roster, watermark, replica, now)
        ledger = self.queues.begin(takeover, first=watermark is None)
        self.leader = Leader(ledger, replica.schedules, takeover.positions, self._publication, self.status, now)

    def run_until(self, seconds: float, *, a_turn_s: float = 0.0) -> None:
        """Take all turns until so many seconds after midnight, at the moments when they are due."""
        now = MIDNIGHT
        while (turn := self.leader.next_turn()) is not None and (now := max(turn, now)) <= after(seconds):
            self.leader.take_turn(now)
            now += timedelta(seconds=a_turn_s)

    def out(self, name: str, *seconds: float) -> bool:
        """Whether the ticks of *name* that are out are those of so many seconds after midnight, once each."""
        wanted = {Tick(name, after(each), after(each)).id for each in seconds}
        mine = {Tick(name, after(each), after(each)).id for each in range(200)}
        return {id_: count for id_, count in self.queues.jobs.items() if id_ in mine} == dict.fromkeys(wanted, 1)

    @property
    def watermark(self) -> Watermark:
        _, watermark = self.queues.read()
        assert watermark is not None
        return watermark

    def _publication(self, schedule: Schedule, tick: Tick) -> Publication:
        if schedule.name in self.broken:
            raise RuntimeError("the application's own")
        return publication(schedule, tick)


def test_those_wait_that_have_a_tick_to_come() -> None:
    term = Term(each(10, "a"), each(10, "over", end=after(15)), each(10, "b"))
    assert [schedule.name for schedule in term.leader.waiting()] == ["a", "over", "b"]
    term.run_until(20)
    assert [schedule.name for schedule in term.leader.waiting()] == ["a", "b"]


def test_ticks_are_out_as_soon_as_they_are_due() -> None:
    term = Term(each(10, "a"), each(15, "b"))
    term.run_until(30)

    assert term.out("a", 10, 20, 30)
    assert term.out("b", 15, 30)
    assert term.watermark.mark == at(30, "b")


def test_p10_times_do_not_drift_however_long_a_turn_takes() -> None:
    term = Term(each(10))
    term.run_until(50, a_turn_s=7)

    assert term.out("a", 10, 20, 30, 40, 50)


def test_the_status_says_how_late_the_newest_tick_was_and_how_many_there_were() -> None:
    term = Term(each(10))
    term.leader.take_turn(after(13))

    assert term.status.lateness == timedelta(seconds=3)
    assert term.status.enqueued == 1


def test_a_schedule_that_is_over_has_no_turn() -> None:
    term = Term(each(10, end=after(25)))
    term.run_until(1_000)

    assert term.out("a", 10, 20)
    assert term.leader.next_turn() is None


def test_what_is_late_by_more_than_catch_up_is_settled_and_recorded(caplog: pytest.LogCaptureFixture) -> None:
    term = Term(each(10, catch_up=timedelta(seconds=15)))
    now = after(65)
    while (turn := term.leader.next_turn()) is not None and turn <= now:
        term.leader.take_turn(now)

    assert term.out("a", 40, 50, 60)
    assert [Missed.decode(record).time for record in term.queues.records] == [after(10), after(20), after(30)]
    assert term.status.missed == 3
    (line,) = caplog.messages
    assert line.startswith("a: 2030-01-01T00:00:10+00:00 missed: it was 55 s late")
    assert line.endswith("up to 2030-01-01T00:00:30+00:00")


def test_what_is_late_and_kept_is_out_before_what_was_due_later() -> None:
    term = Term(each(10, "a", catch_up=timedelta(0)), each(25, "b"))
    now = after(52)
    while (turn := term.leader.next_turn()) is not None and turn <= now:
        term.leader.take_turn(now)

    assert term.out("a", 50)
    assert term.out("b", 25, 50)
    assert list(term.queues.jobs) == [
        Tick(*tick).id
        for tick in [("b", after(25), after(25)), ("a", after(50), after(50)), ("b", after(50), after(50))]
    ]


def test_p12_a_schedule_that_fails_is_tried_again_alone_and_later_each_time(caplog: pytest.LogCaptureFixture) -> None:
    term = Term(each(10, "a"), each(10, "b"))
    term.broken.add("b")
    term.run_until(49)

    assert term.out("a", 10, 20, 30, 40)
    assert term.out("b")
    assert term.status.failing == {"b": "RuntimeError: the application's own"}
    tries = [record for record in caplog.records if record.levelno == logging.ERROR]
    # At 10, 11, 13, 17, 25 and 41
    assert len(tries) == 6
    term.broken.clear()
    term.run_until(100)
    assert term.out("b", *range(10, 101, 10))
    assert not term.status.failing


def test_the_next_leader_finds_a_schedule_that_fails_where_it_is() -> None:
    first = Term(each(10, "a"), each(10, "b"))
    first.broken.add("b")
    first.run_until(30)
    second = Term(each(10, "a"), each(10, "b"), queues=first.queues, now=after(31))
    second.run_until(50)

    assert second.out("a", 10, 20, 30, 40, 50)
    assert second.out("b", 10, 20, 30, 40, 50)


def test_a_message_that_is_refused_does_not_pass_for_one_that_is_out() -> None:
    first = Term(each(10, "a"))
    first.queues.full.add("a")
    first.run_until(10)
    first.queues.full.clear()
    second = Term(each(10, "a"), queues=first.queues, now=after(11))
    second.run_until(20)

    assert second.out("a", 10, 20)


def test_where_many_fail_nobody_overtakes_the_first_that_is_one_too_many() -> None:
    many = [each(10, f"s{number:03}") for number in range(MOST_BEHIND + 5)]
    term = Term(*many, each(10, "z"))
    term.queues.full.update(schedule.name for schedule in many)
    term.run_until(60)

    assert len(term.watermark.behind) == MOST_BEHIND
    assert term.out("z")
    # Whoever leads then finds all of them where they are
    second = Term(*many, each(10, "z"), queues=term.queues, now=after(61))
    second.queues.full.clear()
    second.run_until(100)
    for schedule in (*many, each(10, "z")):
        assert second.out(schedule.name, *range(10, 101, 10))


@pytest.mark.parametrize(("coalesce", "cap"), [(True, 100), (False, 100), (False, 0)])
def test_a_tick_is_not_missed_because_the_leader_comes_to_it_a_moment_after_it_is_due(coalesce: bool, cap: int) -> None:
    term = Term(each(10, coalesce=coalesce, cap=cap, catch_up=timedelta(0)))
    term.leader.take_turn(after(10.9))

    assert term.out("a", 10)
    assert term.status.missed == 0


def test_a_schedule_of_which_no_tick_may_run_late_goes_on_with_the_next_that_is_on_time() -> None:
    term = Term(each(10, coalesce=False, cap=0, catch_up=timedelta(0)))
    term.leader.take_turn(after(21.1))
    term.run_until(30)

    assert term.out("a", 30)
    assert [Missed.decode(record).time for record in term.queues.records] == [after(10), after(20)]
