"""What the heartbeats of an instance mean."""

from typing import Any

import pytest

from actors.health.heartbeat import Consuming, Heartbeat
from actors.health.workers import Limits, live, ready
from tests.unit.actors.health.beats import beat

LIMITS = Limits(silent_s=60, turn_s=70)
NO_CHANNEL = Consuming("default", "no channel to RabbitMQ: Connection refused", 999.5)


def failed(checks: Any) -> dict[str, str]:
    """The names of the checks that failed, and what they say."""
    return {check.name: f"{check.reason}; {check.advice}" for check in checks if not check.ok}


def of_live(*beats: Heartbeat) -> dict[str, str]:
    return failed(live(beats, 1_001.0, LIMITS))


def of_ready(*beats: Heartbeat) -> dict[str, str]:
    return failed(ready(beats, 1_001.0, LIMITS))


def test_two_processes_that_are_well_live_and_are_ready() -> None:
    both = beat(pid=1, processes=2), beat(pid=2, processes=2)

    assert of_live(*both) == of_ready(*both) == {}


def test_one_silent_process_of_two_is_enough_and_is_named() -> None:
    both = beat(pid=1, processes=2), beat(pid=2, processes=2, at_s=940.9)

    assert of_live(*both) == of_ready(*both)
    assert of_live(*both)["heartbeats"].startswith("process 2 has said nothing for 60 s; restart it")
    assert of_live(beat(at_s=941.1)) == {}


def test_a_consumer_that_does_not_come_round_is_stuck() -> None:
    stuck = beat(pid=7, consumers=(Consuming("default", "", 999.0), Consuming("reports", "", 929.0)))

    assert set(of_live(stuck)) == {"turns"}
    assert of_live(stuck)["turns"].startswith("process 7: the consumer of 'reports' has not come round for 71 s")


def test_a_process_that_was_frozen_is_judged_by_what_it_saw_itself() -> None:
    assert set(of_live(beat(at_s=900.0, consumers=(Consuming("default", "", 899.0),)))) == {"heartbeats"}


def test_a_dead_thread_is_no_life() -> None:
    lost = beat(pid=7, lost=("worker thread 2",))

    assert of_live(lost) == {
        "threads": "ended without having been told to: process 7: worker thread 2; restart it; the log says why"
    }


@pytest.mark.parametrize(
    ("fields", "name", "text"),
    [
        ({"consumers": (NO_CHANNEL,)}, "consumers", "process 7, queue 'default': no channel to RabbitMQ: Connection"),
        ({"consumers": (Consuming("default", "it is starting", None),)}, "consumers", "it is starting"),
        ({"consumers": ()}, "consumers", "no queue is consumed; see that -Q names queues that actors have"),
        ({"store": "the store does not answer"}, "store", "process 7: the store does not answer"),
        ({"actors": 0}, "actors", "no actors are declared"),
        ({"draining": True}, "draining", "it ends what it has begun, and begins nothing more"),
        ({"processes": 2}, "processes", "1 of 2 worker processes have started"),
    ],
)
def test_what_makes_an_instance_unready_leaves_it_alive(fields: dict[str, Any], name: str, text: str) -> None:
    ill = beat(pid=7, **fields)

    assert set(of_ready(ill)) == {name}
    assert text in of_ready(ill)[name]
    assert of_live(ill) == {}


def test_a_process_that_is_replaced_is_not_held_against_the_instance() -> None:
    # Its store and its consumers do not count any more.
    replaced = beat(pid=2, processes=2, draining=True, consumers=(), store="the store does not answer")

    assert of_ready(beat(pid=1, processes=2), replaced) == {}
    assert set(of_ready(replaced, beat(pid=1, processes=2, draining=True))) == {"draining"}


def test_many_problems_are_told_in_short() -> None:
    many = [beat(pid=pid, processes=9, store="no answer") for pid in range(9)]

    assert "process 2: no answer and 6 more" in of_ready(*many)["store"]
