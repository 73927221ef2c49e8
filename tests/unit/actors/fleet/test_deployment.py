"""What is made of all that was seen."""

from __future__ import annotations

import pytest

from actors.fleet import ActorWork, Kept
from actors.fleet.deployment import Deployment, QueueState, problems_of_queues, problems_of_workers, workers_of
from actors.fleet.report import State
from tests.unit.actors.fleet.scene import NOW, report, running, worker

OURS = report().identity


@pytest.mark.parametrize(
    ("every_ms", "age_ms", "is_silent"), [(5_000, 17_000, False), (5_000, 17_001, True), (1_000, 5_001, True)]
)
def test_a_worker_is_silent_after_three_of_its_pauses_and_some(every_ms: int, age_ms: int, is_silent: bool) -> None:
    assert worker(age_ms, every_ms=every_ms).is_silent is is_silent


@pytest.mark.parametrize(
    ("state", "age_ms", "shown"), [(State.DRAINING, 0, "draining"), (State.PAUSED, 60_000, "silent")]
)
def test_what_a_silent_worker_did_is_not_what_it_does(state: State, age_ms: int, shown: str) -> None:
    assert worker(age_ms, state=state).state == shown


def test_a_silent_worker_is_an_error_that_says_what_it_ran() -> None:
    ran = [running("late"), running("charge", NOW - 9_000)]
    [problem] = problems_of_workers([worker(42_500, running=ran)], OURS)
    assert (problem.level, problem.subject) == ("error", "host-1:7")
    assert problem.what == "last heard 42 s ago, when it was running charge, message m1, for 9 s and 1 more"
    [problem] = problems_of_workers([worker(42_500)], OURS)
    assert problem.what == "last heard 42 s ago"


def test_a_paused_worker_is_an_error_and_a_draining_one_is_none() -> None:
    [problem] = problems_of_workers([worker(state=State.PAUSED, why="the store does not answer")], OURS)
    assert problem.what == "takes no messages: the store does not answer"
    assert problems_of_workers([worker(state=State.DRAINING), worker()], OURS) == []


def test_a_worker_on_another_broker_is_a_warning_that_names_both() -> None:
    [problem] = problems_of_workers([worker()], {"broker": "amqp://shop:***@other/"})
    assert problem.level == "warning"
    assert problem.what == "has the broker amqp://shop:***@rabbit/, and this process amqp://shop:***@other/"
    assert "ACTORS_BROKER_URL" in problem.advice
    assert problems_of_workers([worker()], {}) == []


def test_what_is_no_report_is_no_worker_and_they_are_shown_by_host_and_process() -> None:
    kept = [
        Kept("a", report(pid=9).encode(), 5),
        Kept("b", "of another release", 5),
        Kept("c", report(pid=8).encode(), 300_001),
        Kept("d", report(pid=7).encode(), 5),
    ]
    assert [each.report.pid for each in workers_of(kept)] == [7, 9]


def test_messages_that_nobody_takes_are_an_error_and_dead_letters_are_none() -> None:
    queues = [
        QueueState("left", 2, 0, None, 0, 0),
        QueueState("taken", 2, 0, None, 0, 1),
        QueueState("dead", 0, 0, None, 9, 0),
    ]
    [problem] = problems_of_queues(queues)
    assert (problem.subject, problem.what) == ("left", "2 messages are ready, and nobody takes them")
    assert "-Q left" in problem.advice


def test_rates_are_those_of_workers_that_are_heard_and_counts_those_of_all() -> None:
    busy = worker(per_s=2.5, per_s_minute=1.5, outcomes={"done": 3, "dead": 1})
    silent = worker(60_000, per_s=9.0, per_s_minute=9.0, outcomes={"done": 4})
    seen = Deployment(NOW, [busy, busy, silent])
    assert (seen.per_s, seen.per_s_minute) == (5.0, 3.0)
    assert seen.outcomes == {"done": 10, "dead": 2}


def test_the_work_of_an_actor_is_that_of_all_workers_and_the_busiest_comes_first() -> None:
    first = worker(actors={"slow": ActorWork(10, 1, 0.1, 6, 100.0), "quick": ActorWork(50, 0, 5.0, 50, 1.0)})
    second = worker(actors={"slow": ActorWork(5, 0, 0.2, 2, 20.0)})
    silent = worker(60_000, actors={"slow": ActorWork(1, 1, 7.0, 1, 1.0)})
    assert Deployment(NOW, [first, second, silent]).actors == {
        "quick": ActorWork(50, 0, 5.0, 50, 1.0),
        "slow": ActorWork(16, 2, 0.3, 8, 80.0),
    }
