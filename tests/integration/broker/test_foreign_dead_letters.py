"""Dead letters of what other producers send, and we would not."""

import json
from typing import Any

import pytest

from actors.brokers.buried import exhume
from services.deadline import until
from tests.integration.broker.conftest import Declare, MakeBroker

MESSAGE = {
    "queue_name": "default",
    "actor_name": "job",
    "args": [],
    "kwargs": {},
    "options": {},
    "message_id": "m1",
    "message_timestamp": 1,
}
HALF = "\ud800"

STRANGE = {
    "an option that is no JSON": {"options": {"own": float("nan")}},
    "an option that is no Unicode": {"options": {"own": HALF}},
    "an argument that is no JSON": {"args": [float("nan")]},
    "an actor that is no Unicode": {"actor_name": HALF},
    "an actor with a long name": {"actor_name": "x" * 70_000},
    "an id that is no Unicode": {"message_id": HALF},
    "a long id": {"message_id": "x" * 300},
    "a key that is no Unicode": {"options": {"idempotency_key": HALF}},
    "a time that is none": {"message_timestamp": "noon"},
    "a time far off": {"message_timestamp": 2**70},
    "attempts far off": {"options": {"attempts": [{"attempt": 2**70, "at": 2**70}], "retries": 2**70}},
    "a failure that is no Unicode": {"options": {"failure": {"reason": HALF, "type": HALF, "message": HALF}}},
}


@pytest.mark.parametrize("change", STRANGE.values(), ids=STRANGE)
def test_what_can_not_be_sent_again_is_a_dead_letter_all_the_same(
    make_broker: MakeBroker, declare: Declare, run_worker: Any, channel: Any, change: dict[str, Any]
) -> None:
    # Given a message that fails, and whose like we would refuse to send
    broker = make_broker()

    def job(*args: object) -> None:
        raise LookupError("no order")

    declare(broker, job, max_retries=0)
    broker.declare_queue("default", ensure=True)
    body = json.dumps(MESSAGE | change).encode()
    channel.basic_publish("", broker.engine.options.topology.work("default").name, body)
    run_worker(broker)

    # Then it is among the dead letters, as it came or with more, and is delivered no more
    until(lambda: broker.get_queue_message_counts("default") == (0, 0, 1), seconds=20, what="the dead letter")
    _, properties, buried = channel.basic_get(broker.engine.options.topology.dead("default").name)
    letter = exhume(properties, buried, "default")
    assert letter.queue == "default"
    assert letter.worker
    assert json.loads(buried)["args"] == pytest.approx(json.loads(body)["args"], nan_ok=True)
