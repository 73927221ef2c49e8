"""Messages that are to be aborted: who meets the note, what the record says then, and what an abort is told."""

from __future__ import annotations

import pytest

from middleware.stores import ABORTED, Abort, Ending, Outcome, Request, Store, Verdict
from middleware.stores.notes import NOTE_MS
from tests.conformance.stores.subject import (
    LONG,
    SHORT,
    InMemory,
    Subject,
    begin,
    claim,
    finish,
    record,
    request,
    verdict,
)

DIGEST = "v1.k"


def abort(store: Store, owner: str = "m1") -> Abort:
    return store.abort(owner, [DIGEST])


def noted(store: Store) -> list[str]:
    return [message_id for message_id, _ in store.aborts(0)]


def test_a_message_that_has_not_begun_does_not_run_and_its_record_says_so(store: Store) -> None:
    assert abort(store) is Abort.UNKNOWN
    answer = begin(store, request(owner="m1"))
    assert (answer.verdict, answer.owner, answer.error) == (Verdict.ABORTED, "m1", ABORTED)
    kept = record(store)
    assert (kept.state, kept.owner, kept.error) == ("failed", "m1", ABORTED)
    assert verdict(store, owner="m1") is Verdict.FAILED
    assert noted(store) == []


def test_others_with_the_key_of_an_aborted_message_run(store: Store) -> None:
    abort(store)
    assert verdict(store, owner="m1") is Verdict.ABORTED
    assert verdict(store, owner="m2") is Verdict.RUN


def test_a_message_that_waits_to_be_tried_again_is_aborted_before_it_is_due(store: Store) -> None:
    finish(store, claim(store), Ending.WAITING, due_ms=LONG, retries=2)
    assert abort(store) is Abort.WAITING
    assert verdict(store) is Verdict.ABORTED
    assert (record(store).state, record(store).retries) == ("failed", 2)


def test_an_attempt_that_runs_goes_on_until_its_worker_ends_it(store: Store) -> None:
    held = claim(store)
    assert abort(store) is Abort.RUNNING
    assert verdict(store) is Verdict.BUSY
    assert store.renew([held]) == [True]
    assert noted(store) == ["m1"]
    assert finish(store, held, Ending.ABORTED)
    assert (record(store).state, record(store).error) == ("failed", ABORTED)
    assert noted(store) == []


def test_an_attempt_that_ends_first_has_won(store: Store) -> None:
    held = claim(store)
    abort(store)
    finish(store, held, Ending.DONE, result="42")
    assert abort(store) is Abort.ENDED
    assert verdict(store) is Verdict.DONE


def test_an_attempt_that_fails_first_is_not_tried_again(store: Store) -> None:
    held = claim(store)
    abort(store)
    finish(store, held, Ending.WAITING, due_ms=0, retries=1)
    assert verdict(store) is Verdict.ABORTED


@pytest.mark.parametrize("park", [False, True])
def test_a_message_whose_worker_was_lost_is_aborted(store: Store, subject: Subject, park: bool) -> None:
    claim(store, lease_ms=SHORT, park=park)
    subject.pass_time(SHORT)
    assert abort(store) is Abort.WAITING
    assert verdict(store, park=park) is Verdict.ABORTED
    assert record(store).error == ABORTED


@pytest.mark.parametrize("ending", [Ending.DONE, Ending.FAILED, Ending.ABORTED])
def test_what_has_ended_is_not_aborted(store: Store, ending: Ending) -> None:
    finish(store, claim(store), ending)
    assert abort(store) is Abort.ENDED
    assert noted(store) == []


def test_a_released_key_says_nothing_of_its_message(store: Store) -> None:
    finish(store, claim(store), Ending.FORGOTTEN)
    assert abort(store) is Abort.UNKNOWN
    assert verdict(store) is Verdict.ABORTED
    assert record(store).state == "failed"


@pytest.mark.parametrize("ending", [Ending.DONE, Ending.WAITING, None])
def test_the_key_stays_anothers(store: Store, ending: Ending | None) -> None:
    held = claim(store, owner="m2")
    if ending is not None:
        finish(store, held, ending, due_ms=LONG)
    before = record(store)
    assert abort(store) is Abort.UNKNOWN
    assert verdict(store, owner="m1") is Verdict.ABORTED
    assert record(store) == before
    assert verdict(store, owner="m1") is Verdict.ABORTED
    assert noted(store) == ["m1"]


def test_a_replay_after_the_abort_runs(store: Store, subject: Subject) -> None:
    abort(store)
    subject.pass_time(SHORT)
    assert verdict(store, replays=1, replayed=store.now() + 1) is Verdict.RUN


def test_a_replay_before_the_abort_does_not_run(store: Store, subject: Subject) -> None:
    finish(store, claim(store), Ending.FAILED)
    replay = request(replays=1, replayed=store.now())
    subject.pass_time(SHORT)
    assert verdict(store) is Verdict.FAILED
    store.abort("m1", [])
    assert begin(store, replay).verdict is Verdict.ABORTED


def test_an_aborted_message_runs_once_it_is_replayed(store: Store) -> None:
    abort(store)
    verdict(store)
    assert verdict(store, replays=1, replayed=store.now()) is Verdict.RUN


def test_only_the_messages_of_a_batch_that_have_a_note_are_aborted(store: Store) -> None:
    store.abort("m3", [])
    _, answers = store.exchange([], [request(f"k{number}", f"m{number}") for number in range(5)])
    assert [answer.verdict for answer in answers] == ["run", "run", "run", "aborted", "run"]


def test_an_abort_twice_is_one(store: Store) -> None:
    assert [abort(store), abort(store)] == [Abort.UNKNOWN] * 2
    assert noted(store) == ["m1"]


def test_the_first_key_that_is_the_messages_tells_what_became_of_it(store: Store) -> None:
    claim(store, key="a", owner="m2")
    finish(store, claim(store, key="b", owner="m1"), Ending.DONE)
    claim(store, key="c", owner="m1")
    assert store.abort("m1", ["v1.none", "v1.a", "v1.b", "v1.c"]) is Abort.ENDED


def test_notes_come_in_order_and_with_numbers_above_those_of_claims_before(store: Store) -> None:
    before = claim(store)
    for number in range(5):
        store.abort(f"n{number}", [])
    found = store.aborts(before.fence, limit=3)
    assert [message_id for message_id, _ in found] == ["n0", "n1", "n2"]
    rest = store.aborts(found[-1][1])
    assert [message_id for message_id, _ in rest] == ["n3", "n4"]
    assert claim(store, key="later").fence > rest[-1][1]
    assert store.aborts(rest[-1][1]) == []


def test_messages_of_others_have_any_id(store: Store) -> None:
    for owner in ("müller", "\ud800", 'a"\\b\n'):
        store.abort(owner, [])
        assert verdict(store, key=owner, owner=owner) is Verdict.ABORTED


def test_a_repeated_request_of_an_aborted_message_is_told_the_same_end(store: Store) -> None:
    abort(store)
    asked: Request = request()
    assert begin(store, asked).verdict is Verdict.ABORTED
    again = begin(store, asked)
    assert (again.verdict, again.error) == (Verdict.FAILED, ABORTED)


def test_an_outcome_that_does_not_count_leaves_the_note(store: Store, subject: Subject) -> None:
    held = claim(store, lease_ms=SHORT)
    subject.pass_time(SHORT)
    claim(store, owner="m2")
    store.abort("m1", [])
    assert store.exchange([Outcome(held, Ending.ABORTED)], []) == ([False], [])
    assert noted(store) == ["m1"]


def test_notes_are_forgotten_after_more_than_the_longest_delay() -> None:
    subject = InMemory()
    abort(subject.store, "old")
    subject.pass_time(NOTE_MS + 1)
    abort(subject.store, "new")
    assert noted(subject.store) == ["new"]


def test_no_more_notes_are_kept_than_a_store_can_bear(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("memory", "redis", "sqlite.notes"):
        monkeypatch.setattr(f"middleware.stores.{module}.MOST_NOTES", 3)
    for number in range(5):
        subject.store.abort(f"n{number}", [])
    assert noted(subject.store) == ["n2", "n3", "n4"]


def test_an_attempt_that_ends_as_aborted_takes_its_note_with_it_for_what_comes_at_once(store: Store) -> None:
    held = claim(store, owner="m1")
    assert abort(store) is Abort.RUNNING

    other = request(owner="m1", key="other")
    counted, [answer] = store.exchange([Outcome(held, Ending.ABORTED)], [other])

    assert counted == [True]
    assert answer.verdict is Verdict.RUN
    assert noted(store) == []
