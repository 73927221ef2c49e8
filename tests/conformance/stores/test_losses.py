"""What a lost worker costs: who is blamed, who runs next, and when it is enough."""

import pytest

from middleware.stores import Claim, Ending, Store, Verdict
from tests.conformance.stores.subject import SHORT, Subject, begin, claim, extended, finish, record, request, verdict


def lose(subject: Subject, held: Claim, *, marked: bool) -> None:
    """Let the worker of *held* be lost, after it has marked the start of its work or before."""
    if marked:
        assert subject.store.mark(extended(held, SHORT))
    subject.pass_time(SHORT)


def test_a_first_claim_needs_no_mark(store: Store) -> None:
    assert not claim(store).needs_mark


def test_a_claim_after_a_loss_needs_a_mark(store: Store, subject: Subject) -> None:
    lose(subject, claim(store, lease_ms=SHORT), marked=False)
    assert claim(store).needs_mark


def test_a_claim_that_may_be_parked_needs_a_mark(store: Store) -> None:
    assert claim(store, park=True).needs_mark


def test_the_first_loss_is_blamed_on_all_that_was_claimed(store: Store, subject: Subject) -> None:
    lose(subject, claim(store, lease_ms=SHORT), marked=False)
    assert begin(store, request()).lost == 1


def test_a_later_loss_is_blamed_on_nothing_that_had_not_started(store: Store, subject: Subject) -> None:
    lose(subject, claim(store, lease_ms=SHORT), marked=False)
    for _ in range(3):
        lose(subject, claim(store, lease_ms=SHORT, max_losses=2), marked=False)
    assert claim(store, max_losses=2).lost == 1


def test_a_message_is_poison_after_so_many_losses_that_it_had_started(store: Store, subject: Subject) -> None:
    for lost in range(3):
        held = claim(store, lease_ms=SHORT, max_losses=3)
        assert held.lost == lost
        lose(subject, held, marked=lost > 0)
    answer = begin(store, request(max_losses=3))
    assert (answer.verdict, answer.lost, answer.owner, answer.fence) == (Verdict.POISON, 3, "m1", 0)
    found = record(store)
    assert (found.state, found.lost, found.error, found.until) == ("failed", 3, "its worker was lost", 0)
    assert found.fence > held.fence


def test_a_message_that_was_poison_has_failed(store: Store, subject: Subject) -> None:
    lose(subject, claim(store, lease_ms=SHORT), marked=False)
    assert verdict(store, max_losses=1) is Verdict.POISON
    answer = begin(store, request(max_losses=1))
    assert (answer.verdict, answer.lost, answer.error) == (Verdict.FAILED, 1, "its worker was lost")


def test_a_poisoned_key_is_free_for_another_message(store: Store, subject: Subject) -> None:
    lose(subject, claim(store, lease_ms=SHORT), marked=False)
    assert verdict(store, max_losses=1) is Verdict.POISON
    assert claim(store, owner="m2", max_losses=1).lost == 0


def test_another_message_is_not_poisoned_by_the_losses_of_the_first(store: Store, subject: Subject) -> None:
    lose(subject, claim(store, owner="m1", lease_ms=SHORT), marked=False)
    assert claim(store, owner="m2", max_losses=1).lost == 1


def test_a_zombie_of_a_poisoned_message_changes_nothing(store: Store, subject: Subject) -> None:
    held = claim(store, lease_ms=SHORT)
    lose(subject, held, marked=True)
    assert verdict(store, max_losses=1) is Verdict.POISON
    assert not finish(store, held, Ending.DONE)
    assert not store.mark(held)
    assert record(store).state == "failed"


@pytest.mark.parametrize("owner", ["m1", "m2"])
def test_a_started_message_is_parked_when_its_worker_is_lost(store: Store, subject: Subject, owner: str) -> None:
    held = claim(store, owner="m1", fingerprint="f1", lease_ms=SHORT, park=True)
    lose(subject, held, marked=True)
    answer = begin(store, request(owner=owner, fingerprint="", park=True))
    assert (answer.verdict, answer.lost, answer.owner) == (Verdict.UNKNOWN, 1, "m1")
    found = record(store)
    assert (found.state, found.owner, found.fingerprint, found.lost) == ("unknown", "m1", "f1", 1)
    assert found.fence > held.fence
    assert not finish(store, held, Ending.DONE)


def test_a_message_that_had_not_started_is_not_parked(store: Store, subject: Subject) -> None:
    lose(subject, claim(store, lease_ms=SHORT, park=True), marked=False)
    answer = begin(store, request(park=True))
    assert (answer.verdict, answer.lost) == (Verdict.RUN, 0)


def test_losses_are_remembered_through_a_retry(store: Store, subject: Subject) -> None:
    lose(subject, claim(store, lease_ms=SHORT), marked=False)
    finish(store, claim(store), Ending.WAITING, retries=1)
    held = claim(store)
    assert (held.lost, held.retries) == (1, 1)


def test_an_abandoned_claim_is_no_loss(store: Store) -> None:
    finish(store, claim(store), Ending.ABANDONED)
    assert claim(store).lost == 0


def test_a_renewed_lease_is_no_loss(store: Store, subject: Subject) -> None:
    held = claim(store, lease_ms=SHORT)
    assert store.renew([extended(held, 10 * SHORT)]) == [True]
    subject.pass_time(SHORT)
    assert finish(store, held, Ending.WAITING)
    assert claim(store).lost == 0


def test_release_forgets_the_losses(store: Store, subject: Subject) -> None:
    lose(subject, claim(store, lease_ms=SHORT), marked=False)
    assert verdict(store, max_losses=1) is Verdict.POISON
    store.release("v1.k")
    assert claim(store, max_losses=1).lost == 0


def test_a_loss_before_the_store_was_asked_counts(store: Store, subject: Subject) -> None:
    first = claim(store, lost=1, lease_ms=SHORT)
    assert (first.lost, first.needs_mark) == (1, True)
    lose(subject, first, marked=True)
    second = claim(store, lost=1, lease_ms=SHORT)
    assert second.lost == 2
    lose(subject, second, marked=True)
    assert verdict(store, lost=1, max_losses=3) is Verdict.POISON
