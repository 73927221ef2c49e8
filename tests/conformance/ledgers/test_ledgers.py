"""What a leader may rely on, wherever its ledger is."""

from dataclasses import replace
from datetime import timedelta

import pytest

from periodic.missed import MOST_MISSED, Missed
from periodic.position import Position
from periodic.roster import Entry, Roster, timing_of
from periodic.takeover import MustNotLead
from periodic.watermark import Watermark
from services.deadline import until
from tests.conformance.ledgers.leading import Leading, ids, tick
from tests.conformance.ledgers.subject import Subject
from tests.unit.periodic.moments import MIDNIGHT, after, at, each

# What a leader is told whose term is over.
OVER = r"deposed|closed|has taken the lock"


def watermark_of(subject: Subject) -> Watermark:
    _, watermark = subject.read()
    assert watermark is not None
    return watermark


def roster_of(subject: Subject) -> Roster:
    roster, _ = subject.read()
    assert roster is not None
    return roster


def test_the_first_term_of_all_begins_with_the_moment_and_with_the_schedules_of_its_code(subject: Subject) -> None:
    Leading(subject, each(10), since=7, generation=3).begun.die()

    assert watermark_of(subject).mark == Position.behind_all(after(7))
    assert roster_of(subject).entries == {"a": Entry(timing_of(each(10)), after(7))}
    assert roster_of(subject).generation == 3


def test_a_tick_that_is_enqueued_has_moved_the_watermark(subject: Subject) -> None:
    term = Leading(subject, each(10))
    ledger = term.begun.ledger
    for seconds in (10, 20):
        ledger.enqueue(tick("a", seconds), subject.publication(each(10), tick("a", seconds)), after(seconds))
        term.begun.flush()
    term.begun.die()

    assert subject.jobs() == ids("a", 10, 20)
    assert watermark_of(subject).mark == at(20)
    assert watermark_of(subject).moved_at == after(20)
    assert watermark_of(subject).leader == "one"


def test_ticks_are_enqueued_in_the_order_in_which_they_are_due(subject: Subject) -> None:
    term = Leading(subject, each(10, "b"))
    term.run_until(40)
    term.begun.die()
    assert subject.jobs() == ids("b", 10, 20, 30, 40)


def test_the_next_leader_goes_on_where_the_last_has_died(subject: Subject) -> None:
    first = Leading(subject, each(10, "a"), each(15, "b"))
    first.run_until(30)
    first.begun.die()
    second = Leading(subject, each(10, "a"), each(15, "b"), name="two", since=33)
    second.run_until(60)
    second.begun.die()

    assert sorted(subject.jobs()) == sorted(ids("a", 10, 20, 30, 40, 50, 60) + ids("b", 15, 30, 45, 60))
    assert watermark_of(subject).leader == "two"


def test_a_leader_that_was_deposed_enqueues_and_changes_nothing(subject: Subject) -> None:
    old = Leading(subject, each(10))
    old.run_until(10)
    subject.depose(old.begun)
    new = Leading(subject, each(10), name="two", since=10)
    with pytest.raises(Exception, match=OVER):
        old.run_until(20)
    with pytest.raises(Exception, match=OVER):
        old.begun.ledger.write_roster(Roster())
    with pytest.raises(Exception, match=OVER):
        old.begun.ledger.write_watermark(Watermark(at(0), MIDNIGHT))
    new.run_until(30)
    new.begun.die()

    assert subject.jobs() == ids("a", 10, 20, 30)
    assert watermark_of(subject).mark == at(30)
    assert set(roster_of(subject).entries) == {"a"}


def test_a_message_that_is_refused_leaves_its_schedule_behind_and_no_other(subject: Subject) -> None:
    stuck, other = each(10, "a", catch_up=timedelta(hours=1)), each(10, "b")
    first = Leading(subject, stuck, other)
    first.run_until(10)
    with subject.full("a"):
        first.run_until(40)
        assert set(first.status.failing) == {"a"}
        first.begun.die()
        assert {name: at.due for name, at in watermark_of(subject).behind.items()} == {"a": after(10)}
        # Whoever leads then has the same trouble, and misses nothing either.
        second = Leading(subject, stuck, other, name="two", since=41)
        second.run_until(60)
        assert set(second.status.failing) == {"a"}
        second.begun.die()
    third = Leading(subject, stuck, other, name="three", since=61)
    third.run_until(200)
    third.begun.die()

    assert not third.status.failing
    wanted = range(10, 201, 10)
    assert sorted(subject.jobs()) == sorted(ids("a", *wanted) + ids("b", *wanted))
    assert watermark_of(subject).behind == {}


def test_a_refusal_undoes_whatever_the_queue_had_of_the_message(subject: Subject) -> None:
    term = Leading(subject, each(10))
    with subject.full("a"):
        term.run_until(25)
        term.begun.die()
        assert subject.jobs() == []


def test_what_is_written_is_read_by_the_next_as_it_was(subject: Subject) -> None:
    entry = Entry("0123456789abcdef", after(1), at(5), None, paused=True, more={"paused_by": "émile"})
    roster = Roster({"a": entry, "ü": replace(entry, resume=None)}, batch=7, generation=2, more={"added": {"x": {}}})
    watermark = Watermark(at(60), after(61), {"ü": at(3, "ü")}, 7, at(40), "one")
    term = Leading(subject)
    term.begun.ledger.write_watermark(watermark)
    term.begun.ledger.write_roster(roster)
    assert (term.begun.ledger.roster, term.begun.ledger.watermark) == (roster, watermark)
    term.begun.die()

    assert subject.read() == (roster, watermark)


def test_a_pause_and_the_first_times_of_schedules_survive_terms(subject: Subject) -> None:
    first = Leading(subject, each(10, "a"), each(10, "b"))
    entries = first.begun.ledger.roster.entries
    first.begun.ledger.write_roster(first.begun.ledger.roster.with_entry("b", replace(entries["b"], paused=True)))
    first.begun.die()
    for number in range(3):
        term = Leading(subject, each(10, "a"), each(10, "b"), name=f"later {number}", since=10 * number)
        term.run_until(10 * number + 10)
        term.begun.die()

    assert subject.jobs() == ids("a", 10, 20, 30)
    assert roster_of(subject).entries["b"] == replace(entries["b"], paused=True)
    assert roster_of(subject).entries["a"].since == MIDNIGHT


def test_an_older_generation_is_refused_and_the_next_leads(subject: Subject) -> None:
    Leading(subject, each(10), generation=2).begun.die()
    with pytest.raises(MustNotLead, match="ACTORS_GENERATION=1 is older than 2"):
        Leading(subject, each(10), name="old", since=1, generation=1)
    new = Leading(subject, each(10), name="new", since=2, generation=3)
    new.run_until(10)
    new.begun.die()

    assert subject.jobs() == ids("a", 10)


def test_what_is_late_beyond_catch_up_is_recorded_and_the_rest_enqueued(subject: Subject) -> None:
    Leading(subject, each(60)).begun.die()
    late = Leading(subject, each(60), name="two", since=3600)
    late.run_until(3600)
    late.begun.die()

    assert subject.jobs() == ids("a", 3480, 3540, 3600)
    until(lambda: subject.missed() == 57, seconds=10, what="the records")
    assert [record.time for record in subject.oldest_missed(57)] == [after(60 * number) for number in range(1, 58)]
    assert late.status.missed == 57


def test_of_records_of_missed_ticks_the_newest_are_kept(subject: Subject) -> None:
    term = Leading(subject)
    for number in range(MOST_MISSED + 50):
        term.begun.ledger.record(Missed("a", after(number), "a reason"))
    term.begun.flush()
    term.begun.die()

    oldest = Missed("a", after(50), "a reason")
    until(lambda: subject.oldest_missed(1) == [oldest], seconds=20, what="the end of older ones")
    until(lambda: subject.missed() == MOST_MISSED, seconds=20, what="the newest records")
