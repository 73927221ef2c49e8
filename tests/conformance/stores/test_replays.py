"""What a replay may do: begin once where its message has ended badly, and nothing where it has not."""

import pytest

from middleware.stores import Ending, Store, Verdict
from tests.conformance.stores.subject import SHORT, Subject, claim, extended, finish, record, verdict


def test_a_replay_reopens_what_has_failed_and_begins_anew(store: Store) -> None:
    finish(store, claim(store), Ending.FAILED, error="boom", retries=5)
    again = claim(store, replays=1)
    assert (again.lost, again.retries) == (0, 0)
    assert record(store).replays == 1


def test_a_replay_that_comes_twice_runs_once(store: Store) -> None:
    finish(store, claim(store), Ending.FAILED)
    again = claim(store, replays=1)
    assert verdict(store, replays=1) is Verdict.BUSY
    finish(store, again, Ending.DONE)
    assert verdict(store, replays=1) is Verdict.DONE


def test_a_replay_that_has_failed_stays_so_until_the_next_one(store: Store) -> None:
    finish(store, claim(store), Ending.FAILED)
    finish(store, claim(store, replays=1), Ending.FAILED, error="again")
    assert verdict(store, replays=1) is Verdict.FAILED
    assert verdict(store, replays=0) is Verdict.FAILED
    assert verdict(store, replays=2) is Verdict.RUN


def test_a_replay_does_not_reopen_what_another_message_holds_closed(store: Store) -> None:
    finish(store, claim(store), Ending.FAILED)
    assert verdict(store, owner="m2", replays=1, hold=True) is Verdict.FAILED


def test_a_replay_does_not_run_what_is_done(store: Store) -> None:
    finish(store, claim(store), Ending.DONE)
    assert verdict(store, replays=1) is Verdict.DONE


@pytest.mark.parametrize("park", [True, False])
def test_a_replay_of_what_has_cost_workers_is_told_of_it_and_may_cost_no_more(
    store: Store, subject: Subject, park: bool
) -> None:
    lost = claim(store, lease_ms=SHORT, park=park, max_losses=1)
    assert store.mark(extended(lost, SHORT))
    subject.pass_time(SHORT)
    assert verdict(store, park=park, max_losses=1) is (Verdict.UNKNOWN if park else Verdict.POISON)
    again = claim(store, replays=1, max_losses=1)
    assert (again.lost, again.needs_mark) == (1, True)
    assert store.mark(extended(again, SHORT))
    subject.pass_time(SHORT)
    assert verdict(store, replays=1, max_losses=1) is Verdict.POISON


def test_a_released_key_remembers_how_often_it_was_replayed(store: Store) -> None:
    finish(store, claim(store, replays=2), Ending.FAILED)
    store.release("v1.k")
    assert record(store).replays == 2
