"""How claims end, and whose end counts."""

from dataclasses import replace
from typing import Any

import pytest

from middleware.stores import ABORTED, Ending, Outcome, Store, Verdict
from tests.conformance.stores.subject import (
    LONG,
    SHORT,
    Subject,
    about,
    begin,
    claim,
    finish,
    record,
    request,
    verdict,
)

STATE_AFTER = {
    Ending.DONE: "done",
    Ending.FAILED: "failed",
    Ending.ABORTED: "failed",
    Ending.WAITING: "waiting",
    Ending.ABANDONED: "waiting",
    Ending.FORGOTTEN: "released",
}
each_ending = pytest.mark.parametrize("ending", Ending)


@each_ending
def test_an_outcome_becomes_the_record(store: Store, ending: Ending) -> None:
    held = claim(store, request("charge:42", "m1", scope="shop", fingerprint="f1"))
    assert finish(store, held, ending)
    found = record(store, "charge:42")
    assert (found.state, found.scope, found.key, found.owner) == (STATE_AFTER[ending], "shop", "charge:42", "m1")
    assert (found.fingerprint, found.fence, found.lost) == ("f1", held.fence, 0)
    now = store.now()
    assert (found.changed, found.expires) == (about(now), about(now + LONG))


@each_ending
def test_a_record_keeps_the_text_that_its_state_has(store: Store, ending: Ending) -> None:
    finish(store, claim(store), ending, result="the result", error="the error")
    found = record(store)
    error = {Ending.DONE: "", Ending.FORGOTTEN: "", Ending.ABORTED: ABORTED}.get(ending, "the error")
    assert (found.result, found.error) == ("the result" * (ending is Ending.DONE), error)


@pytest.mark.parametrize(
    ("ending", "details", "retries"),
    [(Ending.WAITING, {"retries": 3}, 3), (Ending.FAILED, {"retries": 3}, 3), (Ending.ABANDONED, {"retries": 3}, 1)],
)
def test_retries_are_counted_but_for_an_attempt_that_did_not_begin(
    store: Store, ending: Ending, details: dict[str, Any], retries: int
) -> None:
    finish(store, claim(store), Ending.WAITING, retries=1)
    finish(store, claim(store), ending, **details)
    assert record(store).retries == retries


def test_only_one_that_waits_has_a_time(store: Store) -> None:
    finish(store, claim(store, key="waits"), Ending.WAITING, due_ms=LONG)
    finish(store, claim(store, key="failed"), Ending.FAILED, due_ms=LONG)
    finish(store, claim(store, key="done"), Ending.DONE, due_ms=LONG)
    now = store.now()
    assert (record(store, "waits").until, record(store, "waits").expires) == (about(now + LONG), about(now + 2 * LONG))
    for key in ("failed", "done"):
        assert (record(store, key).until, record(store, key).expires) == (0, about(now + LONG))


@each_ending
def test_a_stale_outcome_changes_nothing(store: Store, subject: Subject, ending: Ending) -> None:
    stale = claim(store, lease_ms=SHORT)
    subject.pass_time(SHORT)
    current = claim(store)
    before = record(store)
    assert not finish(store, stale, ending, result="stale", error="stale", due_ms=LONG)
    assert replace(record(store), expires=before.expires) == before
    assert finish(store, current, Ending.DONE)


@each_ending
def test_an_outcome_that_comes_late_counts_while_nobody_has_taken_over(
    store: Store, subject: Subject, ending: Ending
) -> None:
    held = claim(store, lease_ms=SHORT)
    subject.pass_time(SHORT)
    assert finish(store, held, ending)
    assert record(store).state == STATE_AFTER[ending]


@each_ending
def test_an_outcome_counts_where_the_record_is_gone(store: Store, subject: Subject, ending: Ending) -> None:
    claim(store, lease_ms=SHORT)
    subject.pass_time(SHORT)
    held = claim(store)
    assert held.lost == 1
    subject.lose_everything()
    assert finish(subject.store, held, ending, retries=2)
    found = record(subject.store)
    assert (found.state, found.fence, found.owner) == (STATE_AFTER[ending], held.fence, "m1")
    assert found.lost == (0 if ending in (Ending.DONE, Ending.FORGOTTEN) else 1)


@pytest.mark.parametrize("ending", [each for each in Ending if each is not Ending.DONE])
def test_what_is_done_stays_done(store: Store, ending: Ending) -> None:
    held = claim(store)
    finish(store, held, Ending.DONE, result="42")
    assert not finish(store, held, ending)
    assert not store.mark(held)
    assert store.renew([held]) == [False]
    assert (record(store).state, record(store).result) == ("done", "42")


def test_an_abandoned_message_runs_at_once(store: Store) -> None:
    held = claim(store, owner="m1")
    finish(store, held, Ending.ABANDONED)
    assert verdict(store, owner="m2") is Verdict.BUSY
    answer = begin(store, request(owner="m1"))
    assert (answer.verdict, answer.lost, answer.retries) == (Verdict.RUN, 0, 0)
    assert answer.fence > held.fence


@pytest.mark.parametrize("owner", ["m1", "m2"])
def test_a_forgotten_key_is_free(store: Store, subject: Subject, owner: str) -> None:
    claim(store, lease_ms=SHORT)
    subject.pass_time(SHORT)
    finish(store, claim(store, fingerprint="f1"), Ending.FORGOTTEN)
    answer = begin(store, request(owner=owner, fingerprint="f2"))
    assert (answer.verdict, answer.lost, answer.retries) == (Verdict.RUN, 0, 0)


def test_a_renewal_that_comes_after_the_end_brings_nothing_back(store: Store) -> None:
    for ending in Ending:
        held = claim(store, key=ending)
        finish(store, held, ending)
        assert store.renew([held]) == [False]
        assert not store.mark(held)
        assert record(store, ending).state == STATE_AFTER[ending]


def test_outcomes_of_one_exchange_are_counted_one_by_one(store: Store, subject: Subject) -> None:
    stale = claim(store, key="k1", lease_ms=SHORT)
    subject.pass_time(SHORT)
    current, other = claim(store, key="k1"), claim(store, key="k2")
    endings = [
        Outcome(stale, Ending.DONE, result="stale"),
        Outcome(other, Ending.FAILED, error="no luck"),
        Outcome(current, Ending.WAITING, due_ms=LONG, retries=1),
        Outcome(stale, Ending.FORGOTTEN),
    ]
    assert store.exchange(endings, [])[0] == [False, True, True, False]
    assert [record(store, key).state for key in ("k1", "k2")] == ["waiting", "failed"]


def test_of_two_outcomes_for_a_key_in_one_exchange_the_second_sees_the_first(store: Store) -> None:
    held = claim(store)
    counted, _ = store.exchange([Outcome(held, Ending.DONE, result="42"), Outcome(held, Ending.FAILED)], [])
    assert (counted, record(store).state) == ([True, False], "done")


def test_each_of_many_in_an_exchange_keeps_its_own_options(store: Store) -> None:
    requests = [
        request(f"k{number}", f"m{number % 3}", lease_ms=LONG * (1 + number % 2), park=number % 5 == 0)
        for number in range(30)
    ]
    _, answers = store.exchange([], requests)
    assert [answer.remaining_ms for answer in answers] == [asked.lease_ms for asked in requests]
    now = store.now()
    assert [record(store, asked.key).until for asked in requests] == [about(now + asked.lease_ms) for asked in requests]
