"""An operator's word on a key."""

from dataclasses import replace

import pytest

from middleware.stores import Ending, Record, Refused, Store, Verdict
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

each_override = pytest.mark.parametrize("word", ["release", "complete"])


def parked(store: Store, subject: Subject) -> None:
    held = claim(store, lease_ms=SHORT, park=True)
    store.mark(held)
    subject.pass_time(SHORT)
    verdict(store, park=True)


@each_override
def test_a_key_without_a_record_is_no_key(store: Store, word: str) -> None:
    with pytest.raises(KeyError, match=r"v1\.k"):
        getattr(store, word)("v1.k")
    with pytest.raises(KeyError):
        getattr(store, word)("v1.k", force=True)
    assert store.inspect("v1.k") is None


@each_override
def test_a_live_lease_is_left_alone(store: Store, word: str) -> None:
    held = claim(store)
    before = record(store)
    with pytest.raises(Refused):
        getattr(store, word)("v1.k")
    assert replace(record(store), expires=before.expires) == before
    assert finish(store, held, Ending.DONE)


@pytest.mark.parametrize(("word", "told"), [("release", Verdict.RUN), ("complete", Verdict.DONE)])
@pytest.mark.parametrize("ending", list(Ending))
def test_force_takes_the_key_from_its_holder(store: Store, word: str, told: Verdict, ending: Ending) -> None:
    held = claim(store)
    assert getattr(store, word)("v1.k", force=True).state == "running"
    assert store.renew([held]) == [False]
    assert not store.mark(held)
    assert not finish(store, held, ending, result="stale")
    assert verdict(store, owner="m2") is told


@each_override
def test_a_lease_that_is_over_needs_no_force(store: Store, subject: Subject, word: str) -> None:
    held = claim(store, lease_ms=SHORT)
    subject.pass_time(SHORT)
    assert getattr(store, word)("v1.k").state == "running"
    assert not finish(store, held, Ending.DONE)


@each_override
def test_a_message_that_waits_needs_no_force(store: Store, word: str) -> None:
    finish(store, claim(store), Ending.WAITING, due_ms=LONG)
    assert getattr(store, word)("v1.k").state == "waiting"


@each_override
def test_the_record_is_returned_as_it_was(store: Store, word: str) -> None:
    held = claim(store, request("charge:42", "m1", scope="shop", fingerprint="f1"))
    finish(store, held, Ending.FAILED, error="no luck", retries=3)
    before = record(store, "charge:42")
    was = getattr(store, word)("v1.charge:42")
    assert replace(was, expires=before.expires) == before
    assert was.expires == about(before.expires)


@pytest.mark.parametrize(("word", "state"), [("release", "released"), ("complete", "done")])
def test_the_record_says_what_it_has_become(store: Store, word: str, state: str) -> None:
    held = claim(store, request("charge:42", "m1", scope="shop", fingerprint="f1"))
    finish(store, held, Ending.FAILED, error="no luck", retries=3)
    getattr(store, word)("v1.charge:42")
    found = record(store, "charge:42")
    assert found.fence > held.fence
    now = store.now()
    assert (found.changed, found.expires) == (about(now), about(now + LONG))
    kept = {"digest": found.digest, "scope": "shop", "key": "charge:42", "owner": "m1", "fingerprint": "f1"}
    assert found == Record(**kept, state=state, fence=found.fence, changed=found.changed, expires=found.expires)  # type: ignore[arg-type]


def test_a_completed_key_gives_the_operators_result(store: Store, subject: Subject) -> None:
    parked(store, subject)
    store.complete("v1.k", result='{"value":"ünïcode"}')
    answer = begin(store, request(owner="m2"))
    assert (answer.verdict, answer.owner, answer.result) == (Verdict.DONE, "m1", '{"value":"ünïcode"}')


def test_a_parked_message_runs_when_it_is_released(store: Store, subject: Subject) -> None:
    parked(store, subject)
    assert store.release("v1.k").state == "unknown"
    assert begin(store, request(park=True)).verdict is Verdict.RUN


def test_a_failed_message_runs_when_it_is_released(store: Store) -> None:
    finish(store, claim(store), Ending.FAILED, retries=5)
    store.release("v1.k")
    answer = begin(store, request())
    assert (answer.verdict, answer.retries) == (Verdict.RUN, 0)


def test_what_was_done_runs_again_only_when_it_is_released(store: Store) -> None:
    finish(store, claim(store), Ending.DONE)
    assert verdict(store) is Verdict.DONE
    store.release("v1.k")
    assert verdict(store) is Verdict.RUN


@each_override
def test_an_override_is_remembered_as_long_as_the_record_was_to_be(store: Store, subject: Subject, word: str) -> None:
    finish(store, claim(store, ttl_ms=100 * SHORT), Ending.FAILED)
    subject.pass_time(10 * SHORT)
    before = store.now()
    getattr(store, word)("v1.k")
    # Redis rounds what is left up, and the time down.
    assert before + 90 * SHORT < record(store).expires <= store.now() + 100 * SHORT + 1


@each_override
def test_an_override_can_be_repeated(store: Store, word: str) -> None:
    finish(store, claim(store), Ending.FAILED)
    first, second = getattr(store, word)("v1.k"), getattr(store, word)("v1.k")
    assert (first.state, second.state) == ("failed", "released" if word == "release" else "done")
    assert second.fence > first.fence


@each_override
def test_an_override_takes_the_key_off_the_list(store: Store, word: str) -> None:
    finish(store, claim(store), Ending.FAILED)
    getattr(store, word)("v1.k")
    assert store.list_open() == ([], "")


def test_the_zombie_of_a_released_key_can_not_end_its_next_claim(store: Store, subject: Subject) -> None:
    zombie = claim(store, lease_ms=SHORT)
    subject.pass_time(SHORT)
    store.release("v1.k")
    current = claim(store)
    assert not finish(store, zombie, Ending.DONE)
    assert finish(store, current, Ending.DONE)
