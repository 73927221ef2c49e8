import logging
from datetime import datetime, timedelta

import pytest

from periodic.position import Position
from periodic.roster import Roster
from periodic.schedule import Schedule
from periodic.takeover import MustNotLead, Replica, Takeover, take_over
from periodic.watermark import Watermark
from tests.unit.periodic.moments import MIDNIGHT, after, at, each


def replica(*schedules: Schedule, started: datetime = MIDNIGHT, generation: int = 0) -> Replica:
    return Replica("r", started, {schedule.name: schedule for schedule in schedules}, generation)


def first(*schedules: Schedule, now: datetime = MIDNIGHT) -> Takeover:
    return take_over(None, None, replica(*schedules), now)


def follow(last: Takeover, *schedules: Schedule, mark: Position, now: float, started: float = 0) -> Takeover:
    """The takeover after a term of *last* in which all ticks up to *mark* were enqueued in time."""
    watermark = Watermark(mark, mark.due, batch=last.watermark.batch)
    return take_over(last.roster, watermark, replica(*schedules, started=after(started)), after(now))


def test_the_first_leader_of_all_starts_from_now() -> None:
    takeover = first(each(10), now=after(25))

    assert takeover.positions == {"a": Position.behind_all(after(25))}
    assert takeover.watermark.mark == Position.behind_all(after(25))
    assert takeover.is_new


def test_a_new_leader_with_the_same_code_goes_on_at_the_watermark_and_writes_nothing() -> None:
    begun = first(each(10, "a"), each(10, "b"))
    takeover = follow(begun, each(10, "a"), each(10, "b"), mark=at(20, "a"), now=100)

    assert takeover.positions == {"a": at(20, "a"), "b": at(20, "a")}
    assert not takeover.is_new
    assert takeover.roster is begun.roster


def test_a_schedule_deployed_at_half_past_does_not_tick_for_the_full_minute() -> None:
    begun = first(each(60, "a"))
    takeover = follow(begun, each(60, "a"), each(60, "b"), mark=at(60, "a"), now=90, started=90)

    assert takeover.positions["b"] == Position.behind_all(after(90))
    assert takeover.positions["a"] == at(60, "a")


def test_a_schedule_that_an_older_leader_has_held_up_since_its_deployment_misses_nothing() -> None:
    # A replica with new code stood by from 50 on; the old one has led until 130, and enqueued up to 125.
    takeover = follow(first(each(5, "a")), each(5, "a"), each(60, "b"), mark=at(125, "a"), now=130, started=50)

    assert takeover.positions["b"] == Position.behind_all(after(70))
    assert takeover.watermark.of("a") == at(125, "a")
    assert takeover.is_new


def test_another_timing_counts_from_the_start_of_the_replica_that_has_it() -> None:
    begun = first(each(60, "a"))
    takeover = follow(begun, each(30, "a"), mark=at(0, "a"), now=100, started=90)

    assert takeover.positions["a"] == Position.behind_all(after(90))
    assert takeover.is_new


def test_another_timing_goes_on_where_a_leader_has_left_off_that_was_at_work_until_then() -> None:
    begun = first(each(60, "a"))
    late = Watermark(at(60, "a"), moved_at=after(95), batch=1)
    takeover = take_over(begun.roster, late, replica(each(30, "a"), started=after(90)), after(96))

    assert takeover.positions["a"] == at(60, "a")
    assert takeover.is_new


def test_what_has_nothing_to_do_with_the_timing_changes_without_a_trace() -> None:
    begun = first(each(60, "a"))
    takeover = follow(begun, each(60, "a", args=[2], queue="slow"), mark=at(60, "b"), now=100, started=90)

    assert takeover.positions["a"] == at(60, "b")
    assert not takeover.is_new


@pytest.mark.parametrize(
    "changed", [each(30), each(60, jitter=5), each(60, start=MIDNIGHT), each(60, end=after(1_000))]
)
def test_whatever_changes_the_times_is_another_timing(changed: Schedule) -> None:
    assert follow(first(each(60)), changed, mark=at(0, "a"), now=100, started=90).is_new


def test_a_leader_with_older_code_neither_ticks_for_a_newer_schedule_nor_forgets_it() -> None:
    newer = first(each(10, "a"), each(10, "b"))
    older = follow(newer, each(10, "a"), mark=at(20, "b"), now=21)
    newer_again = follow(older, each(10, "a"), each(10, "b"), mark=at(50, "a"), now=51)

    assert set(older.positions) == {"a"}
    assert older.roster.entries["b"].gone_at == after(21)
    assert newer_again.positions == {"a": at(50, "a"), "b": at(20, "b")}
    assert newer_again.roster.entries["b"].since == MIDNIGHT
    assert newer_again.roster.entries["b"].gone_at is None


def test_the_place_of_a_schedule_that_has_gone_is_kept_for_a_day(caplog: pytest.LogCaptureFixture) -> None:
    gone = follow(first(each(10, "a"), each(10, "b")), each(10, "a"), mark=at(20, "b"), now=21)
    day = 86_400

    kept = follow(gone, each(10, "a"), mark=at(day, "a"), now=day)
    forgotten = follow(kept, each(10, "a"), mark=at(day + 30, "a"), now=day + 30)

    assert set(kept.roster.entries) == {"a", "b"}
    assert kept.roster.entries["b"].gone_at == after(21)
    assert set(forgotten.roster.entries) == {"a"}
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "'b' is not in the code" in caplog.text


def test_a_batch_that_was_begun_goes_on_where_it_was() -> None:
    begun = follow(first(each(10, "a")), each(10, "a"), each(1, "b"), mark=at(100, "a"), now=101, started=50)
    assert begun.watermark.backlog == begun.positions["b"] == Position.behind_all(after(50))

    interrupted = begun.watermark.past(next(each(1, "b").ticks_after(after(52))), after(101))
    takeover = take_over(begun.roster, interrupted, replica(each(10, "a"), each(1, "b")), after(102))

    assert takeover.positions == {"a": at(100, "a"), "b": at(53, "b")}
    assert not takeover.is_new


def test_a_batch_that_was_announced_and_not_begun_begins() -> None:
    begun = follow(first(each(10, "a")), each(10, "a"), each(1, "b"), mark=at(100, "a"), now=101, started=50)
    before = Watermark(at(100, "a"), after(100), batch=begun.roster.batch - 1)
    takeover = take_over(begun.roster, before, replica(each(10, "a"), each(1, "b")), after(102))

    assert takeover.positions["b"] == Position.behind_all(after(50))
    assert takeover.watermark.backlog == Position.behind_all(after(50))


def test_a_batch_that_is_done_is_where_the_mark_is() -> None:
    begun = follow(first(each(10, "a")), each(10, "a"), each(1, "b"), mark=at(100, "a"), now=101, started=50)
    takeover = follow(begun, each(10, "a"), each(1, "b"), mark=at(110, "a"), now=111)

    assert takeover.positions == {"a": at(110, "a"), "b": at(110, "a")}


def test_a_batch_in_the_midst_of_another_takes_over_its_places() -> None:
    begun = follow(first(each(10, "a")), each(10, "a"), each(1, "b"), mark=at(100, "a"), now=101, started=50)
    interrupted = begun.watermark.past(next(each(1, "b").ticks_after(after(70))), after(101))
    code = replica(each(10, "a"), each(1, "b"), each(1, "c"), started=after(60))
    takeover = take_over(begun.roster, interrupted, code, after(102))

    assert takeover.positions == {"a": at(100, "a"), "b": at(71, "b"), "c": Position.behind_all(after(60))}
    assert takeover.roster.batch == takeover.watermark.batch == begun.roster.batch + 1
    # Were the new leader to die now, the next would find the same places.
    again = take_over(takeover.roster, interrupted, code, after(103))
    assert again.positions == takeover.positions


def test_schedules_that_were_refused_keep_their_places() -> None:
    begun = first(each(10, "a"), each(10, "b"))
    held = Watermark(at(50, "a"), after(50), {"b": at(20, "b")}, batch=begun.watermark.batch)
    takeover = take_over(begun.roster, held, replica(each(10, "a"), each(10, "b")), after(51))

    assert takeover.positions == {"a": at(50, "a"), "b": at(20, "b")}
    assert takeover.watermark.of("b") == at(20, "b")
    assert takeover.watermark.backlog is None


def test_a_refused_schedule_that_a_newer_leader_does_not_know_keeps_its_place_in_the_roster() -> None:
    begun = first(each(10, "a"), each(10, "b"))
    held = Watermark(at(50, "a"), after(50), {"b": at(20, "b")}, batch=begun.watermark.batch)
    without = take_over(begun.roster, held, replica(each(10, "a")), after(51))
    back = follow(without, each(10, "a"), each(10, "b"), mark=at(60, "a"), now=61)

    assert not without.watermark.behind
    assert back.positions["b"] == at(20, "b")


def test_paused_schedules_have_no_turn() -> None:
    begun = first(each(10, "a"), each(10, "b"))
    entry = begun.roster.entries["b"]
    paused = begun.roster.with_entry("b", type(entry)(entry.timing, entry.since, paused=True))
    takeover = take_over(paused, begun.watermark, replica(each(10, "a"), each(10, "b")), after(5))

    assert set(takeover.positions) == {"a"}
    assert takeover.roster.entries["b"].paused


def test_a_resumed_schedule_counts_from_when_it_was_resumed() -> None:
    begun = first(each(10, "a"))
    entry = begun.roster.entries["a"]
    resumed = begun.roster.with_entry("a", type(entry)(entry.timing, since=after(95)))
    takeover = take_over(resumed, Watermark(at(20, "b"), after(20), batch=1), replica(each(10, "a")), after(100))

    assert takeover.positions["a"] == Position.behind_all(after(95))


def test_without_a_watermark_what_is_due_before_now_counts_as_out() -> None:
    begun = first(each(10, "a"), each(10, "b"))
    takeover = take_over(begun.roster, None, replica(each(10, "a"), each(10, "b"), each(10, "c")), after(1_000))

    assert set(takeover.positions.values()) == {Position.behind_all(after(1_000))}


def test_without_a_roster_what_is_up_to_the_watermark_counts_as_out() -> None:
    takeover = take_over(
        None, Watermark(at(20, "a"), after(20), batch=4), replica(each(10, "a"), each(10, "b")), after(31)
    )

    assert set(takeover.positions.values()) == {Position.behind_all(after(20))}
    assert takeover.roster.batch == takeover.watermark.batch == 5


def test_an_older_generation_never_leads_and_a_newer_one_is_noted() -> None:
    begun = take_over(None, None, replica(each(10), generation=7), MIDNIGHT)

    with pytest.raises(MustNotLead, match="ACTORS_GENERATION=6 is older than 7, which has led already"):
        take_over(begun.roster, begun.watermark, replica(each(10), generation=6), after(5))
    newer = take_over(begun.roster, begun.watermark, replica(each(10), generation=8), after(5))
    assert newer.roster.generation == 8
    assert newer.is_new


def test_p14_a_watermark_a_little_ahead_of_this_clock_is_waited_for() -> None:
    begun = first(each(10))
    takeover = follow(begun, each(10), mark=at(290), now=0)

    assert takeover.positions == {"a": at(290)}


def test_p14_a_watermark_far_ahead_of_this_clock_is_not_led_from() -> None:
    with pytest.raises(
        MustNotLead, match=r"stands at 2030-01-01T00:05:10\+00:00, 0:05:10 ahead of this machine's clock"
    ):
        follow(first(each(10)), each(10), mark=at(310), now=0)


def test_what_another_version_keeps_in_the_roster_stays_there() -> None:
    begun = first(each(10, "a"))
    fields = begun.roster.encode().replace(b'"batch"', b'"run_time":[1],"batch"')
    takeover = take_over(
        Roster.decode(fields), begun.watermark, replica(each(10, "a"), each(10, "b")), MIDNIGHT + timedelta(seconds=5)
    )

    assert takeover.roster.more == {"run_time": [1]}
