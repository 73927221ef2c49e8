"""What a worker repeats because it did not hear the answer."""

import pytest

from middleware.stores import Claim, Ending, Outcome, Store, Verdict
from tests.conformance.stores.subject import LONG, SHORT, Subject, about, begin, claim, finish, record, request, verdict


def test_a_repeated_request_gets_the_same_claim(store: Store) -> None:
    asked = request()
    first, second = begin(store, asked), begin(store, asked)
    assert first == second
    assert first.verdict is Verdict.RUN


def test_a_repeated_request_gets_a_whole_lease(store: Store, subject: Subject) -> None:
    asked = request(lease_ms=50 * SHORT)
    begin(store, asked)
    subject.pass_time(SHORT)
    before = record(store).until
    assert begin(store, asked).remaining_ms == 50 * SHORT
    assert record(store).until >= before + SHORT


def test_a_repeated_request_whose_lease_was_over_has_lost_nothing(store: Store, subject: Subject) -> None:
    asked = request(lease_ms=SHORT)
    first = begin(store, asked)
    subject.pass_time(SHORT)
    assert begin(store, asked) == first


def test_a_repeated_request_after_a_take_over_finds_the_new_holder(store: Store, subject: Subject) -> None:
    asked = request(owner="m1", lease_ms=SHORT)
    begin(store, asked)
    subject.pass_time(SHORT)
    current = claim(store, owner="m2")
    answer = begin(store, asked)
    assert (answer.verdict, answer.owner, record(store).fence) == (Verdict.BUSY, "m2", current.fence)


def test_a_request_that_is_twice_in_an_exchange_gets_one_claim(store: Store) -> None:
    asked = request()
    _, [first, second] = store.exchange([], [asked, asked])
    assert first == second
    assert first.verdict is Verdict.RUN


def test_a_repeated_request_keeps_its_losses_and_its_mark(store: Store, subject: Subject) -> None:
    claim(store, lease_ms=SHORT)
    subject.pass_time(SHORT)
    asked = request(lease_ms=SHORT)
    held = claim(store, asked)
    assert store.mark(held)
    assert begin(store, asked).lost == 1
    subject.pass_time(SHORT)
    assert begin(store, request()).lost == 2


def test_a_repeated_request_of_a_batch_that_had_not_started_is_still_not_blamed(store: Store, subject: Subject) -> None:
    asked = request(lease_ms=SHORT, park=True)
    assert begin(store, asked) == begin(store, asked)
    subject.pass_time(SHORT)
    assert verdict(store, park=True) is Verdict.RUN


@pytest.mark.parametrize("park", [False, True])
def test_who_is_told_of_poison_or_parking_is_told_again(store: Store, subject: Subject, park: bool) -> None:
    held = claim(store, lease_ms=SHORT)
    assert store.mark(held)
    subject.pass_time(SHORT)
    asked = request(max_losses=1, park=park)
    first, second = begin(store, asked), begin(store, asked)
    assert first.verdict is (Verdict.UNKNOWN if park else Verdict.POISON)
    assert first == second


@pytest.mark.parametrize("ending", Ending)
def test_an_outcome_counts_as_often_as_it_is_repeated(store: Store, ending: Ending) -> None:
    held = claim(store)
    for _ in range(3):
        assert finish(store, held, ending, result="42", error="no luck", due_ms=SHORT, retries=1)
    found = record(store)
    assert found.fence == held.fence
    assert found.retries == (1 if ending in (Ending.WAITING, Ending.FAILED, Ending.ABORTED) else 0)


@pytest.mark.parametrize("ending", Ending)
def test_an_outcome_that_is_repeated_after_the_next_claim_changes_nothing(store: Store, ending: Ending) -> None:
    held = claim(store, owner="m1")
    finish(store, held, ending)
    has_failed = ending in (Ending.FAILED, Ending.ABORTED)
    current = held if ending is Ending.DONE else claim(store, owner="m2" if has_failed else "m1")
    assert finish(store, held, ending) is (ending is Ending.DONE)
    assert record(store).fence == current.fence


def test_a_repeated_exchange_answers_the_same(store: Store) -> None:
    held = [claim(store, key=f"old {number}") for number in range(len(Ending))]
    outcomes = [Outcome(each, ending, error="no luck") for each, ending in zip(held, Ending, strict=True)]
    requests = [request(f"new {number}") for number in range(5)]
    assert store.exchange(outcomes, requests) == store.exchange(outcomes, requests)


def test_a_repeated_renewal_and_mark_hold(store: Store) -> None:
    held: Claim = claim(store)
    assert [store.renew([held]), store.renew([held])] == [[True], [True]]
    assert [store.mark(held), store.mark(held)] == [True, True]
    assert record(store).until == about(store.now() + LONG)
