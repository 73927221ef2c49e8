"""Fencing tokens rise, whatever becomes of the records."""

from collections.abc import Callable

import pytest

from middleware.stores import Ending, Store
from tests.conformance.stores.subject import SHORT, Subject, claim, finish, request, verdict


def done_and_expired(subject: Subject) -> None:
    finish(subject.store, claim(subject.store, ttl_ms=SHORT), Ending.DONE)
    subject.pass_time(SHORT)


def released(subject: Subject) -> None:
    claim(subject.store)
    subject.store.release("v1.k", force=True)


def forgotten(subject: Subject) -> None:
    finish(subject.store, claim(subject.store), Ending.FORGOTTEN)


def abandoned(subject: Subject) -> None:
    finish(subject.store, claim(subject.store), Ending.ABANDONED)


def lost(subject: Subject) -> None:
    claim(subject.store, lease_ms=SHORT)
    subject.pass_time(SHORT)


def lost_with_the_store(subject: Subject) -> None:
    claim(subject.store)
    subject.lose_everything()


@pytest.mark.parametrize("fate", [done_and_expired, released, forgotten, abandoned, lost, lost_with_the_store])
def test_a_key_that_is_claimed_again_has_a_higher_fence(subject: Subject, fate: Callable[[Subject], None]) -> None:
    fences = []
    for _ in range(3):
        fences.append(claim(subject.store).fence)
        subject.store.release("v1.k", force=True)
        fate(subject)
    fences.append(claim(subject.store).fence)
    assert fences == sorted(set(fences))


def test_fences_rise_through_all_keys_of_a_batch_and_the_next(store: Store) -> None:
    fences = []
    for batch in range(3):
        _, answers = store.exchange([], [request(f"{batch}-{number}") for number in range(100)])
        fences += [answer.fence for answer in answers]
    assert fences == sorted(set(fences))


def test_an_operator_and_a_loss_take_fences_too(store: Store, subject: Subject) -> None:
    held = claim(store, lease_ms=SHORT)
    subject.pass_time(SHORT)
    verdict(store, max_losses=1)
    fences = [held.fence, store.release("v1.k").fence, store.complete("v1.k").fence, store.release("v1.k").fence]
    fences.append(claim(store).fence)
    assert fences == sorted(set(fences))


def test_another_process_goes_on_where_this_one_is(subject: Subject) -> None:
    stores = [subject.another() for _ in range(3)]
    fences = [claim(stores[number % 3], key=f"k{number}").fence for number in range(9)]
    assert fences == sorted(set(fences))
