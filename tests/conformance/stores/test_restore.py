"""What one store has kept goes on in another."""

from __future__ import annotations

from dataclasses import replace

import pytest

from middleware.stores import Alias, Claim, Ending, Kept, Record, State, Store, Verdict
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


def kept(
    store: Store, state: State, *, key: str = "k", owner: str = "m1", ago_ms: int = 1_000, left_ms: int = LONG
) -> Kept:
    """A record as another store has kept it, which changed *ago_ms* ago and expires in *left_ms*."""
    now = store.now()
    fields = {
        "scope": "charge",
        "key": key,
        "owner": owner,
        "fence": (now - ago_ms) * 1000,
        "changed": now - ago_ms,
        "expires": now + left_ms,
    }
    if state is State.DONE:
        fields |= {"result": '"ünïcode"'}
    if state in (State.RUNNING, State.WAITING):
        fields |= {"until": now + LONG, "lost": 1, "retries": 2}
    if state in (State.FAILED, State.UNKNOWN, State.WAITING):
        fields |= {"error": "no luck", "retries": 2}
    made = Record(f"v1.{key}", state, fingerprint="f1", replays=3, **fields)  # type: ignore[arg-type]
    return Kept(made, "delivery x" if state is State.RUNNING else "", unstarted=state is State.RUNNING)


def restore(store: Store, *moved: Kept, aliases: tuple[Alias, ...] = (), fence: int = 0) -> list[bool]:
    return store.restore(moved, aliases, fence=fence)


@pytest.mark.parametrize("state", list(State))
def test_a_record_is_here_as_it_was_there(store: Store, state: State) -> None:
    moved = kept(store, state)
    assert restore(store, moved) == [True]
    assert replace(record(store), expires=0) == replace(moved.record, expires=0)
    assert record(store).expires == about(moved.record.expires)


@pytest.mark.parametrize(
    ("state", "told", "another_is_told"),
    [
        (State.DONE, Verdict.DONE, Verdict.DONE),
        (State.FAILED, Verdict.FAILED, Verdict.RUN),
        (State.UNKNOWN, Verdict.UNKNOWN, Verdict.UNKNOWN),
        (State.WAITING, Verdict.BUSY, Verdict.BUSY),
        (State.RUNNING, Verdict.BUSY, Verdict.BUSY),
        (State.RELEASED, Verdict.RUN, Verdict.RUN),
    ],
)
def test_it_says_here_what_it_said_there(store: Store, state: State, told: Verdict, another_is_told: Verdict) -> None:
    restore(store, kept(store, state, key="a"), kept(store, state, key="b"))
    assert verdict(store, "a", "m1", replays=3) is told
    assert verdict(store, "b", "m2") is another_is_told


def test_a_repetition_changes_nothing(store: Store) -> None:
    moved = [kept(store, state, key=state) for state in State]
    assert restore(store, *moved) == [True] * len(moved)
    before = [record(store, each.record.key) for each in moved]
    assert restore(store, *moved) == [False] * len(moved)
    assert [replace(record(store, each.key), expires=each.expires) for each in before] == before


def test_what_has_changed_here_since_stays(store: Store) -> None:
    moved = kept(store, State.WAITING)
    finish(store, claim(store), Ending.DONE, result="new")
    assert restore(store, moved) == [False]
    assert record(store).result == "new"


def test_what_is_older_here_makes_room(store: Store) -> None:
    restore(store, kept(store, State.FAILED, ago_ms=5_000))
    assert restore(store, kept(store, State.DONE, ago_ms=1_000)) == [True]
    assert record(store).state is State.DONE
    assert store.list_open() == ([], "")


def test_who_holds_the_key_here_keeps_it(store: Store, subject: Subject) -> None:
    held = claim(store)
    subject.pass_time(SHORT)
    assert restore(store, kept(store, State.DONE, ago_ms=0)) == [False]
    assert finish(store, held, Ending.DONE)


def test_a_holder_there_holds_it_here(store: Store) -> None:
    moved = kept(store, State.RUNNING)
    restore(store, moved)
    asked = request(fingerprint="f1", replays=3, token=moved.token)
    held = Claim(asked, moved.record.fence, moved.record.lost, moved.record.retries)
    assert store.renew([held]) == [True]
    assert finish(store, held, Ending.DONE)
    assert record(store).state is State.DONE


def test_a_lease_that_ends_here_is_a_loss(store: Store, subject: Subject) -> None:
    moved = kept(store, State.RUNNING)
    over = replace(moved.record, until=store.now() + SHORT, lost=0)
    restore(store, replace(moved, record=over, unstarted=False))
    subject.pass_time(SHORT)
    answer = begin(store, request(replays=3))
    assert (answer.verdict, answer.lost, answer.retries) == (Verdict.RUN, 1, 2)
    assert answer.fence > over.fence


def test_what_has_expired_is_left_out(store: Store) -> None:
    assert restore(store, kept(store, State.DONE, left_ms=0)) == [False]
    assert store.inspect("v1.k") is None


@pytest.mark.parametrize("state", list(State))
def test_those_that_are_open_are_listed(store: Store, state: State) -> None:
    restore(store, kept(store, state))
    listed, _ = store.list_open()
    assert [each.digest for each in listed] == ([] if state in (State.DONE, State.RELEASED) else ["v1.k"])


def test_a_message_finds_its_key(store: Store) -> None:
    expires = store.now() + LONG
    begin(store, request("mine", "m2"))
    restore(store, aliases=(Alias("m1", "v1.k", expires), Alias("m2", "v1.theirs", expires), Alias("m3", "v1.k", 1)))
    assert (store.digest_of("m1"), store.digest_of("m2"), store.digest_of("m3")) == ("v1.k", "v1.mine", None)


def test_fences_to_come_are_higher(store: Store) -> None:
    ahead = (store.now() + LONG) * 1000
    restore(store, fence=ahead)
    first = claim(store, key="a").fence
    restore(store, fence=1)
    assert ahead < first < claim(store, key="b").fence


def test_text_that_is_no_unicode_is_kept(store: Store) -> None:
    moved = kept(store, State.FAILED, key="\ud800", owner="\udfff")
    assert restore(store, moved, aliases=(Alias("\udfff", "v1.\ud800", store.now() + LONG),)) == [True]
    assert record(store, "\ud800").owner == "\udfff"
    assert store.digest_of("\udfff") == "v1.\ud800"


def test_many_are_taken_over_at_once(store: Store) -> None:
    moved = [kept(store, State.DONE, key=str(number)) for number in range(1_201)]
    assert restore(store, *moved) == [True] * 1_201
    assert restore(store) == []
    assert record(store, "1200").state is State.DONE
