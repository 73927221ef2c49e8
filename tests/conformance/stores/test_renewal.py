"""Leases that are renewed, and starts that are marked."""

from dataclasses import replace

from middleware.stores import Ending, Store, Verdict
from tests.conformance.stores.subject import (
    LONG,
    SHORT,
    Subject,
    about,
    begin,
    claim,
    extended,
    finish,
    record,
    request,
    verdict,
)


def test_a_renewed_lease_is_alive_for_its_whole_length_again(store: Store, subject: Subject) -> None:
    held = claim(store, owner="m1", lease_ms=SHORT)
    assert store.renew([extended(held, LONG)]) == [True]
    subject.pass_time(SHORT)
    assert verdict(store, owner="m2") is Verdict.BUSY
    now = store.now()
    assert (record(store).until, record(store).expires) == (about(now + LONG), about(now + 2 * LONG))


def test_a_mark_renews_the_lease(store: Store, subject: Subject) -> None:
    held = claim(store, owner="m1", lease_ms=SHORT)
    assert store.mark(extended(held, LONG))
    subject.pass_time(SHORT)
    assert verdict(store, owner="m2") is Verdict.BUSY


def test_a_lease_that_is_over_can_be_renewed_while_nobody_has_taken_over(store: Store, subject: Subject) -> None:
    held = claim(store, lease_ms=SHORT)
    subject.pass_time(SHORT)
    assert store.renew([extended(held, LONG)]) == [True]
    assert verdict(store, owner="m2") is Verdict.BUSY


def test_a_stale_renewal_changes_nothing(store: Store, subject: Subject) -> None:
    stale = claim(store, lease_ms=SHORT)
    subject.pass_time(SHORT)
    claim(store)
    before = record(store)
    assert store.renew([extended(stale, 2 * LONG)]) == [False]
    assert not store.mark(extended(stale, 2 * LONG))
    assert replace(record(store), expires=before.expires) == before


def test_a_batch_is_renewed_claim_by_claim(store: Store, subject: Subject) -> None:
    stale, other = claim(store, key="k1", lease_ms=SHORT), claim(store, key="k2")
    subject.pass_time(SHORT)
    current, ended = claim(store, key="k1"), claim(store, key="k3")
    finish(store, ended, Ending.FAILED)
    assert store.renew([stale, other, current, ended, other]) == [False, True, True, False, True]


def test_a_record_that_is_gone_comes_back(store: Store, subject: Subject) -> None:
    claim(store, key="charge:42", lease_ms=SHORT)
    subject.pass_time(SHORT)
    first = claim(store, key="charge:42", fingerprint="f1")
    finish(store, first, Ending.WAITING, retries=2)
    held = claim(store, key="charge:42", fingerprint="f1")
    subject.lose_everything()
    assert subject.store.renew([held]) == [True]
    found = record(subject.store, "charge:42")
    assert (found.state, found.scope, found.key, found.owner) == ("running", "charge", "charge:42", "m1")
    assert (found.fence, found.fingerprint, found.lost, found.retries) == (held.fence, "f1", 1, 2)
    assert found.until == about(subject.store.now() + LONG)
    assert verdict(subject.store, "charge:42", "m2", fingerprint="f1") is Verdict.BUSY
    assert [each.key for each in subject.store.list_open()[0]] == ["charge:42"]
    assert finish(subject.store, held, Ending.DONE)


def test_a_claim_whose_record_came_back_is_still_this_deliverys(store: Store, subject: Subject) -> None:
    asked = request()
    held = claim(store, asked)
    subject.lose_everything()
    assert subject.store.mark(held)
    again = begin(subject.store, asked)
    assert (again.verdict, again.fence) == (Verdict.RUN, held.fence)


def test_of_two_claims_for_a_key_that_is_gone_one_comes_back(store: Store, subject: Subject) -> None:
    zombie = claim(store, lease_ms=SHORT)
    subject.pass_time(SHORT)
    current = claim(store)
    subject.lose_everything()
    assert subject.store.renew([current, zombie]) == [True, False]


def test_a_loss_is_blamed_on_a_claim_whose_record_came_back(store: Store, subject: Subject) -> None:
    held = claim(store, lease_ms=SHORT, park=True)
    subject.lose_everything()
    assert subject.store.renew([held]) == [True]
    subject.pass_time(SHORT)
    assert verdict(subject.store, park=True) is Verdict.UNKNOWN


def test_a_renewal_keeps_what_was_marked(store: Store, subject: Subject) -> None:
    held = claim(store, park=True)
    assert store.mark(held)
    assert store.renew([extended(held, SHORT)]) == [True]
    subject.pass_time(SHORT)
    assert verdict(store, park=True) is Verdict.UNKNOWN


def test_a_renewal_is_no_mark(store: Store, subject: Subject) -> None:
    held = claim(store, park=True)
    assert store.renew([extended(held, SHORT)]) == [True]
    subject.pass_time(SHORT)
    assert verdict(store, park=True) is Verdict.RUN
