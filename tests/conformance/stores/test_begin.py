"""Each row of the table of what a record says to who asks for its key."""

from typing import Any

import pytest

from middleware.stores import Answer, Claim, Ending, Outcome, Store, Verdict
from tests.conformance.stores.subject import LONG, SHORT, Subject, about, begin, claim, finish, record, request, verdict


def told(answer: Answer) -> tuple[Any, ...]:
    """All of *answer* but its fence."""
    fields = (answer.lost, answer.retries, answer.owner, answer.remaining_ms, answer.result, answer.error)
    return (answer.verdict, *fields)


def run(owner: str, *, lost: int = 0, retries: int = 0) -> tuple[Any, ...]:
    return (Verdict.RUN, lost, retries, owner, LONG, "", "")


def parked(store: Store, subject: Subject) -> Claim:
    """A claim whose key is unknown now, because its worker was lost."""
    held = claim(store, lease_ms=SHORT, park=True)
    assert store.mark(held)
    subject.pass_time(SHORT)
    assert verdict(store, park=True) is Verdict.UNKNOWN
    return held


def test_a_key_without_a_record_runs(store: Store) -> None:
    answer = begin(store, request(owner="m1"))
    assert told(answer) == run("m1")
    assert answer.fence > 0


def test_the_record_of_a_claim_says_all_of_it(store: Store) -> None:
    asked = request("charge:42", "m1", scope="shop", fingerprint="f1")
    answer = begin(store, asked)
    found = record(store, "charge:42")
    assert (found.digest, found.state, found.scope, found.key) == (asked.digest, "running", "shop", "charge:42")
    assert (found.owner, found.fence, found.fingerprint, found.lost, found.retries) == ("m1", answer.fence, "f1", 0, 0)
    assert (found.result, found.error) == ("", "")
    now = store.now()
    assert (found.changed, found.until, found.expires) == (about(now), about(now + LONG), about(now + 2 * LONG))


@pytest.mark.parametrize("owner", ["m1", "m2"])
def test_a_key_that_is_done_does_not_run_again_and_gives_its_result(store: Store, owner: str) -> None:
    finish(store, claim(store, owner="m1"), Ending.DONE, result='{"value":42}')
    answer = begin(store, request(owner=owner))
    assert (told(answer), answer.fence) == ((Verdict.DONE, 0, 0, "m1", 0, '{"value":42}', ""), 0)


def test_a_message_that_has_failed_does_not_run_again(store: Store) -> None:
    finish(store, claim(store, owner="m1"), Ending.FAILED, error="no luck", retries=5)
    answer = begin(store, request(owner="m1"))
    assert (told(answer), answer.fence) == ((Verdict.FAILED, 0, 5, "m1", 0, "", "no luck"), 0)


def test_a_key_that_has_failed_is_free_for_another_message(store: Store) -> None:
    finish(store, claim(store, owner="m1", fingerprint="f1"), Ending.FAILED, error="no luck", retries=5)
    assert told(begin(store, request(owner="m2", fingerprint="f2"))) == run("m2")
    assert record(store).owner == "m2"


def test_a_key_that_has_failed_is_closed_to_a_message_that_respects_it(store: Store) -> None:
    finish(store, claim(store, owner="m1", fingerprint="f1"), Ending.FAILED, error="no luck", retries=5)
    answer = begin(store, request(owner="m2", fingerprint="f1", hold=True))
    assert (told(answer), answer.fence) == ((Verdict.FAILED, 0, 5, "m1", 0, "", "no luck"), 0)
    assert verdict(store, owner="m2", fingerprint="f2", hold=True) is Verdict.CONFLICT


@pytest.mark.parametrize("owner", ["m1", "m2"])
@pytest.mark.parametrize("park", [True, False])
def test_a_key_that_is_unknown_waits_for_a_human(store: Store, subject: Subject, owner: str, park: bool) -> None:
    parked(store, subject)
    answer = begin(store, request(owner=owner, park=park))
    assert (told(answer), answer.fence) == ((Verdict.UNKNOWN, 1, 0, "m1", 0, "", "its worker was lost"), 0)


def test_a_message_that_waits_runs_when_it_is_due(store: Store, subject: Subject) -> None:
    held = claim(store, owner="m1")
    finish(store, held, Ending.WAITING, due_ms=SHORT, retries=2, error="busy gateway")
    subject.pass_time(SHORT)
    answer = begin(store, request(owner="m1"))
    assert told(answer) == run("m1", retries=2)
    assert answer.fence > held.fence


def test_a_message_that_waits_does_not_run_before_it_is_due(store: Store) -> None:
    finish(store, claim(store, owner="m1"), Ending.WAITING, due_ms=LONG, retries=2, error="busy gateway")
    answer = begin(store, request(owner="m1"))
    assert (told(answer), answer.fence) == ((Verdict.BUSY, 0, 2, "m1", about(LONG), "", "busy gateway"), 0)


@pytest.mark.parametrize(("due_ms", "lease_ms"), [(LONG, SHORT), (0, LONG), (LONG, LONG)])
def test_another_message_finds_one_that_waits_as_it_finds_a_live_lease(
    store: Store, due_ms: int, lease_ms: int
) -> None:
    finish(store, claim(store, owner="m1"), Ending.WAITING, due_ms=due_ms, retries=2)
    answer = begin(store, request(owner="m2", lease_ms=lease_ms))
    assert told(answer) == (Verdict.BUSY, 0, 2, "m1", about(due_ms + lease_ms), "", "")


def test_another_message_runs_a_lease_after_one_that_did_not_come_when_it_was_due(
    store: Store, subject: Subject
) -> None:
    finish(store, claim(store, owner="m1"), Ending.WAITING, due_ms=SHORT, retries=2, error="busy gateway")
    subject.pass_time(2 * SHORT)
    answer = begin(store, request(owner="m2", lease_ms=SHORT))
    assert (answer.verdict, answer.retries, answer.lost) == (Verdict.RUN, 0, 0)


@pytest.mark.parametrize("owner", ["m1", "m2"])
def test_a_live_lease_keeps_the_key(store: Store, owner: str) -> None:
    claim(store, owner="m1")
    answer = begin(store, request(owner=owner))
    assert (told(answer), answer.fence) == ((Verdict.BUSY, 0, 0, "m1", about(LONG), "", ""), 0)


@pytest.mark.parametrize("owner", ["m1", "m2"])
def test_a_lease_that_is_over_is_taken_over_and_counts_as_a_loss(store: Store, subject: Subject, owner: str) -> None:
    held = claim(store, owner="m1", lease_ms=SHORT)
    subject.pass_time(SHORT)
    answer = begin(store, request(owner=owner))
    assert told(answer) == run(owner, lost=1)
    assert answer.fence > held.fence
    assert (record(store).owner, record(store).lost) == (owner, 1)


def test_other_arguments_are_a_conflict_while_it_runs(store: Store, subject: Subject) -> None:
    claim(store, owner="m1", fingerprint="f1", lease_ms=SHORT)
    assert verdict(store, owner="m2", fingerprint="f2") is Verdict.CONFLICT
    subject.pass_time(SHORT)
    answer = begin(store, request(owner="m2", fingerprint="f2"))
    assert (told(answer), answer.fence) == ((Verdict.CONFLICT, 0, 0, "m1", 0, "", ""), 0)
    assert record(store).state == "running"


def test_other_arguments_are_a_conflict_when_it_is_done(store: Store) -> None:
    finish(store, claim(store, owner="m1", fingerprint="f1"), Ending.DONE, result="42")
    assert verdict(store, owner="m2", fingerprint="f2") is Verdict.CONFLICT


def test_other_arguments_are_a_conflict_while_it_waits(store: Store) -> None:
    finish(store, claim(store, owner="m1", fingerprint="f1"), Ending.WAITING, due_ms=0)
    assert verdict(store, owner="m2", fingerprint="f2") is Verdict.CONFLICT


def test_other_arguments_are_a_conflict_when_it_is_unknown(store: Store, subject: Subject) -> None:
    held = claim(store, owner="m1", fingerprint="f1", lease_ms=SHORT, park=True)
    store.mark(held)
    subject.pass_time(SHORT)
    assert verdict(store, owner="m1", fingerprint="f1", park=True) is Verdict.UNKNOWN
    assert verdict(store, owner="m2", fingerprint="f2") is Verdict.CONFLICT


def test_a_message_is_no_conflict_with_itself(store: Store) -> None:
    """A callback that is sent again, after a crash, may tell of its parent in other words."""
    finish(store, claim(store, fingerprint="f1"), Ending.DONE)
    assert verdict(store, fingerprint="f2", token="t2") is Verdict.DONE


@pytest.mark.parametrize(("first", "second"), [("f1", ""), ("", "f2"), ("f1", "f1")])
def test_arguments_that_are_not_compared_are_no_conflict(store: Store, first: str, second: str) -> None:
    finish(store, claim(store, owner="m1", fingerprint=first), Ending.DONE)
    assert verdict(store, owner="m2", fingerprint=second) is Verdict.DONE


def test_a_released_key_runs_with_any_arguments(store: Store) -> None:
    finish(store, claim(store, owner="m1", fingerprint="f1"), Ending.FAILED, retries=3)
    store.release("v1.k")
    assert told(begin(store, request(owner="m1", fingerprint="f2"))) == run("m1")


def test_a_record_is_forgotten_when_its_time_is_over(store: Store, subject: Subject) -> None:
    finish(store, claim(store, ttl_ms=SHORT), Ending.DONE)
    subject.pass_time(SHORT)
    assert store.inspect("v1.k") is None
    assert verdict(store, owner="m2") is Verdict.RUN


def test_a_lease_that_is_over_is_remembered(store: Store, subject: Subject) -> None:
    claim(store, lease_ms=SHORT, ttl_ms=LONG)
    subject.pass_time(SHORT)
    assert record(store).state == "running"


def test_a_record_is_not_forgotten_while_its_lease_is_alive(store: Store, subject: Subject) -> None:
    claim(store, lease_ms=LONG, ttl_ms=SHORT)
    subject.pass_time(SHORT)
    assert verdict(store, owner="m2") is Verdict.BUSY


def test_a_record_is_not_forgotten_while_it_waits(store: Store, subject: Subject) -> None:
    finish(store, claim(store, ttl_ms=SHORT), Ending.WAITING, due_ms=LONG)
    subject.pass_time(SHORT)
    assert verdict(store) is Verdict.BUSY


def test_keys_do_not_know_of_each_other(store: Store) -> None:
    claim(store, key="k1")
    assert verdict(store, key="k2") is Verdict.RUN


def test_of_two_requests_for_a_key_in_one_exchange_the_first_runs(store: Store) -> None:
    _, answers = store.exchange([], [request(owner="m1"), request("other"), request(owner="m2")])
    assert [(each.verdict, each.owner) for each in answers] == [("run", "m1"), ("run", "m1"), ("busy", "m1")]


def test_of_two_requests_for_an_orphan_in_one_exchange_the_first_takes_it_over(store: Store, subject: Subject) -> None:
    claim(store, owner="m1", lease_ms=SHORT)
    subject.pass_time(SHORT)
    _, answers = store.exchange([], [request(owner="m1"), request(owner="m1"), request(owner="m2")])
    assert [(each.verdict, each.lost) for each in answers] == [("run", 1), ("busy", 1), ("busy", 1)]


def test_an_outcome_comes_before_the_requests_of_its_exchange(store: Store) -> None:
    held = claim(store, owner="m1")
    counted, [answer] = store.exchange([Outcome(held, Ending.DONE, result="42")], [request(owner="m2")])
    assert (counted, answer.verdict, answer.result) == ([True], Verdict.DONE, "42")


def test_an_empty_exchange_says_nothing(store: Store) -> None:
    assert store.exchange([], []) == ([], [])
    assert store.renew([]) == []
