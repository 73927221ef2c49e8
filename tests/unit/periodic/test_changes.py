"""What an operator's word makes of the roster, and of where a leader then goes on."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from periodic.changes import ANSWERED, Case, Change, Refused, answered, change, reset
from periodic.errors import ScheduleError
from periodic.inquiry import Inquiry
from periodic.position import Position
from periodic.roster import Entry, Roster, timing_of
from periodic.run_time import ADDED, definitions, with_run_time_schedules
from periodic.schedule import Schedule
from periodic.takeover import Replica, take_over
from periodic.watermark import Watermark
from tests.unit.periodic.moments import MIDNIGHT, after, at, each

EXTRA = {"actor": "job", "every": 10_000}
HOURLY = {"actor": "job", "every": 3_600_000}


class Term:
    """A leader with the schedule ``a``, which ticks each 10 s, and what operators do to it."""

    def __init__(self, *, accept: Any = lambda schedule: schedule) -> None:
        self.replica = Replica("r", MIDNIGHT, {"a": each(10)}, accept=accept)
        taken = take_over(None, None, self.replica, MIDNIGHT)
        self.roster, self.watermark = taken.roster, taken.watermark

    def make(self, action: str, now: float, *, inquiry_id: str | None = None, **fields: Any) -> Change:
        inquiry = Inquiry(inquiry_id or f"{action} {now}", action, "ann", fields)
        leader = with_run_time_schedules(self.replica, self.roster)
        made = change(Case(inquiry, self.roster, self.watermark, leader, after(now)))
        self.roster = Roster.decode(made.roster.encode())
        return made

    def positions(self, now: float, mark: float | None = None) -> dict[str, Position]:
        """Where a leader goes on that takes over, all ticks up to *mark* being out."""
        watermark = self.watermark if mark is None else Watermark(Position.behind_all(after(mark)), after(mark))
        leader = with_run_time_schedules(self.replica, self.roster)
        taken = take_over(self.roster, watermark, leader, after(now))
        self.roster = taken.roster
        return dict(taken.positions)


def refuse(schedule: Schedule) -> Schedule:
    raise ScheduleError(f"no actor {schedule.actor!r}")


def test_a_paused_schedule_goes_on_nowhere_whoever_leads_then() -> None:
    term = Term()
    term.make("pause", 15, schedule="a")
    assert term.positions(20) == {}
    assert term.positions(1_000, mark=999) == {}


def test_a_resumed_one_goes_on_from_then_on_and_what_the_pause_has_cost_is_recorded_with_who_paused_it() -> None:
    term = Term()
    term.watermark = Watermark(at(10), after(10))
    term.make("pause", 15, schedule="a")
    [missed] = term.make("resume", 45, schedule="a").missed

    assert (missed.time, missed.until) == (after(20), after(40))
    assert missed.reason == "it was paused by ann from 2030-01-01T00:00:15+00:00 on"
    assert term.positions(45) == {"a": Position.behind_all(after(45))}
    assert not term.roster.entries["a"].paused
    assert term.roster.entries["a"].more == {}


def test_a_pause_that_has_cost_one_tick_has_no_row_and_one_that_has_cost_none_no_record() -> None:
    term = Term()
    term.watermark = Watermark(at(10), after(10))
    term.make("pause", 15, schedule="a")
    [missed] = term.make("resume", 25, schedule="a").missed
    assert (missed.time, missed.until) == (after(20), None)

    term.watermark = Watermark(at(30), after(30))
    term.make("pause", 31, schedule="a")
    assert term.make("resume", 39, schedule="a").missed == ()


def test_a_tick_that_was_late_when_it_was_paused_is_recorded_too_and_one_that_was_out_is_not() -> None:
    term = Term()
    term.watermark = Watermark(at(20), after(20))
    term.make("pause", 31, schedule="a")
    [missed] = term.make("resume", 40, schedule="a").missed
    assert (missed.time, missed.until) == (after(30), after(40))


def test_a_tick_that_was_left_behind_when_it_was_paused_is_recorded_too() -> None:
    term = Term()
    term.watermark = Watermark(at(50, "b"), after(50), behind={"a": at(10)})
    term.make("pause", 51, schedule="a")
    [missed] = term.make("resume", 65, schedule="a").missed
    assert (missed.time, missed.until) == (after(20), after(60))


def test_a_pause_of_years_is_recorded_without_counting_them() -> None:
    term = Term()
    term.watermark = Watermark(at(10), after(10))
    term.make("pause", 15, schedule="a")
    year = timedelta(days=365).total_seconds()
    [missed] = term.make("resume", year, schedule="a").missed
    assert (missed.time, missed.until) == (after(20), after(year))


@pytest.mark.parametrize(("action", "text"), [("pause", "a was paused already"), ("resume", "a was not paused")])
def test_doing_what_is_done_changes_nothing_else(action: str, text: str) -> None:
    term = Term()
    if action == "pause":
        term.make("pause", 15, schedule="a")
    before = term.roster.entries
    assert term.make(action, 25, schedule="a").text == text
    assert term.roster.entries == before


@pytest.mark.parametrize("action", ["pause", "resume"])
def test_a_name_that_nobody_knows_is_refused_with_the_one_that_may_be_meant(action: str) -> None:
    term = Term()
    term.make("add", 5, schedule="nightly", definition=HOURLY)
    with pytest.raises(Refused, match="no schedule is called 'nightyl', did you mean 'nightly'"):
        term.make(action, 15, schedule="nightyl")


def test_an_added_schedule_counts_from_then_on_and_survives_a_change_of_leader() -> None:
    term = Term()
    term.make("add", 15, schedule="extra", definition=EXTRA)
    assert term.positions(15, mark=10)["extra"] == Position.behind_all(after(15))
    assert term.positions(1_000, mark=990)["extra"] == Position.behind_all(after(990))
    assert definitions(term.roster) == {"extra": EXTRA}


def test_adding_the_same_again_is_harmless_and_another_under_the_name_is_refused() -> None:
    term = Term()
    term.make("add", 15, schedule="extra", definition=EXTRA)
    assert term.make("add", 25, schedule="extra", definition=EXTRA).text == "extra was there already"
    with pytest.raises(Refused, match="was added before, with another definition"):
        term.make("add", 25, schedule="extra", definition=HOURLY)


def test_a_name_of_the_code_is_refused() -> None:
    with pytest.raises(Refused, match="'a' is declared in the code"):
        Term().make("add", 15, schedule="a", definition=EXTRA)


@pytest.mark.parametrize("action", ["change", "remove"])
def test_a_schedule_of_the_code_is_neither_changed_nor_removed_here(action: str) -> None:
    with pytest.raises(Refused, match="'a' is declared in the code: change it there, or pause it"):
        Term().make(action, 15, schedule="a", definition=EXTRA)


@pytest.mark.parametrize("action", ["add", "change"])
@pytest.mark.parametrize(
    ("definition", "problem"),
    [({"actor": "job", "cron": "0 25 * * *"}, "hour 25 is out of range"), ("x", "must have a definition")],
)
def test_what_could_not_work_is_refused_and_changes_nothing(action: str, definition: Any, problem: str) -> None:
    term = Term()
    term.make("add", 5, schedule="extra", definition=EXTRA)
    before = term.roster
    with pytest.raises(Refused, match=problem):
        term.make(action, 15, schedule="extra" if action == "change" else "more", definition=definition)
    assert term.roster == before


def test_an_actor_that_the_code_does_not_have_is_refused() -> None:
    with pytest.raises(Refused, match="no actor 'job'"):
        Term(accept=refuse).make("add", 15, schedule="extra", definition=EXTRA)


@pytest.mark.parametrize("name", ["", " ", None, 5])
def test_a_schedule_without_a_name_is_refused(name: object) -> None:
    with pytest.raises(Refused, match="must have a name"):
        Term().make("add", 15, schedule=name, definition=EXTRA)


def test_a_new_timing_counts_from_the_change_on() -> None:
    """Otherwise the ticks of the last minute that the new timing has would all be enqueued at once."""
    term = Term()
    term.make("add", 5, schedule="extra", definition=HOURLY)
    term.make("change", 55, schedule="extra", definition={"every": 1_000})
    assert term.positions(55, mark=10)["extra"] == Position.behind_all(after(55))


def test_new_arguments_leave_the_ticks_where_they_are() -> None:
    term = Term()
    term.make("add", 5, schedule="extra", definition=EXTRA)
    made = term.make("change", 25, schedule="extra", definition={"args": [2]})
    assert made.text == "changed extra"
    assert term.positions(25, mark=10)["extra"] == Position.behind_all(after(10))
    assert definitions(term.roster)["extra"] == {**EXTRA, "args": [2]}


def test_a_change_to_what_it_is_does_nothing() -> None:
    term = Term()
    term.make("add", 5, schedule="extra", definition=EXTRA)
    assert term.make("change", 25, schedule="extra", definition=EXTRA).text == "extra was like that already"


def test_a_changed_schedule_stays_paused() -> None:
    term = Term()
    term.make("add", 5, schedule="extra", definition=EXTRA)
    term.make("pause", 6, schedule="extra")
    term.make("change", 25, schedule="extra", definition={"every": 1_000})
    assert "extra" not in term.positions(30, mark=10)


def test_a_removed_schedule_is_gone_and_one_added_again_under_its_name_does_not_go_on_where_it_was() -> None:
    term = Term()
    term.make("add", 5, schedule="extra", definition=EXTRA)
    term.make("remove", 15, schedule="extra")
    assert "extra" not in term.positions(20, mark=10)
    assert "extra" not in term.roster.entries

    term.make("add", 95, schedule="extra", definition=EXTRA)
    assert term.positions(95, mark=90)["extra"] == Position.behind_all(after(95))


def test_removing_what_was_added_under_a_name_that_the_code_has_by_now_leaves_that_of_the_code() -> None:
    term = Term()
    term.roster = Roster(term.roster.entries, more={ADDED: {"a": EXTRA}})
    term.make("remove", 15, schedule="a")
    assert definitions(term.roster) == {}
    assert term.roster.entries["a"].timing == timing_of(each(10))


def test_the_answer_to_a_change_is_known_for_as_long_as_copies_of_it_may_come() -> None:
    term = Term()
    said = term.make("pause", 15, inquiry_id="x", schedule="a").text
    for number in range(19):
        term.make("pause", 20 + number, schedule="a")
    copy = Inquiry("x", "pause", "ann", {"schedule": "a"})
    assert answered(term.roster, copy) == said
    term.make("pause", 60, schedule="a")
    assert answered(term.roster, copy) is None
    assert len(term.roster.more[ANSWERED]) == 20


def test_an_action_of_a_later_version_is_refused() -> None:
    with pytest.raises(Refused, match="r knows no 'skip'; it is of another version"):
        Term().make("skip", 15, schedule="a")


def far(days: int = 1) -> Watermark:
    """A watermark that a wrong clock has moved."""
    ahead = MIDNIGHT + timedelta(days=days)
    return Watermark(Position.behind_all(ahead), ahead, behind={"a": at(5)}, batch=3, backlog=at(3))


def test_a_watermark_in_the_future_is_moved_to_now_for_all_schedules() -> None:
    entry = Entry(timing_of(each(10)), far().mark.due, resume=at(3), paused=True)
    made = reset(Roster({"a": entry}, batch=3), far(), after(5), after(5), force=False)

    assert made.watermark is not None
    assert made.watermark == Watermark(Position.behind_all(after(5)), after(5), batch=3)
    assert made.roster.entries["a"] == Entry(timing_of(each(10)), after(5), paused=True)
    taken = take_over(made.roster, made.watermark, Replica("r", MIDNIGHT, {"b": each(10, "b")}), after(6))
    assert taken.watermark.mark.due == after(5)


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(minutes=5)])
def test_a_sane_watermark_is_left_alone_unless_forced(ahead: timedelta) -> None:
    sane = Watermark(Position.behind_all(MIDNIGHT + ahead), MIDNIGHT)
    with pytest.raises(Refused, match=r"the watermark is sane: it stands at .*--force"):
        reset(Roster(), sane, MIDNIGHT, MIDNIGHT, force=False)
    moved = reset(Roster(), sane, after(-60), MIDNIGHT, force=True).watermark
    assert moved is not None
    assert moved.mark == Position.behind_all(after(-60))


@pytest.mark.parametrize("force", [True, False])
def test_a_watermark_is_not_moved_into_the_future(force: bool) -> None:
    with pytest.raises(Refused, match="is in the future"):
        reset(Roster(), far(), after(1), MIDNIGHT, force=force)


def test_a_leader_resets_to_the_time_that_it_is_told_or_to_now() -> None:
    term = Term()
    assert (made := term.make("reset-watermark", 9, force=True)).watermark is not None
    assert made.watermark.mark.due == after(9)
    to = datetime.fromisoformat("2029-12-31T00:00:00+00:00")
    assert (made := term.make("reset-watermark", 9.5, force=True, to=to.isoformat())).watermark is not None
    assert made.watermark.mark.due == to
