from __future__ import annotations

from typing import Any

import dramatiq
import pytest
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import Callbacks as DramatiqCallbacks
from dramatiq.middleware import Retries

from middleware.callbacks import Callbacks


@pytest.fixture
def broker() -> StubBroker:
    broker = StubBroker(middleware=[Callbacks(), Retries(min_backoff=1)])
    declare(broker, "report")
    declare(broker, "charge", on_success="report", on_failure="report", max_retries=1, throws=LookupError)
    return broker


def declare(broker: StubBroker, name: str, **options: Any) -> dramatiq.Actor[..., Any]:
    def fn(*args: Any) -> None: ...

    return dramatiq.Actor(fn, broker=broker, actor_name=name, queue_name="default", priority=0, options=options)


def charge(broker: StubBroker, message_id: str = "m-1", **options: Any) -> dramatiq.MessageProxy:
    return dramatiq.MessageProxy(dramatiq.Message("default", "charge", (42,), {}, dict(options), message_id=message_id))


def reports(broker: StubBroker) -> list[dramatiq.Message[Any]]:
    """Return what was sent to the callback's actor since the last call."""
    bodies = [broker.queues["default"].get_nowait() for _ in range(broker.queues["default"].qsize())]
    return [message for message in map(dramatiq.Message.decode, bodies) if message.actor_name == "report"]


def ended(broker: StubBroker, message: dramatiq.MessageProxy, **ending: Any) -> dramatiq.Message[Any]:
    broker.emit_after("process_message", message, **ending)
    (report,) = reports(broker)
    return report


def test_a_success_sends_its_message_and_result_as_dramatiq_does(broker: StubBroker) -> None:
    message = charge(broker)
    ours = ended(broker, message, result=999)
    broker.middleware[0] = DramatiqCallbacks()
    theirs = ended(broker, message, result=999)

    assert ours.args[1] == 999
    assert ours.args[0]["message_id"] == "m-1"
    assert {**ours.asdict(), "message_id": "", "message_timestamp": 0} == {
        **theirs.asdict(),
        "message_id": "",
        "message_timestamp": 0,
    }


def test_a_failure_sends_its_message_and_error_as_dramatiq_does(broker: StubBroker) -> None:
    report = ended(broker, charge(broker), exception=ValueError("no"))

    assert report.args[0]["message_id"] == "m-1"
    assert report.args[1] == {"type": "ValueError", "message": "no"}


def test_the_callback_of_a_message_that_comes_again_has_the_same_id(broker: StubBroker) -> None:
    first = ended(broker, charge(broker), result=999)
    again = ended(broker, charge(broker), result=999)
    other = ended(broker, charge(broker, "m-2"), result=999)

    assert first.message_id == again.message_id
    assert first.message_id != other.message_id


def test_the_same_attempt_has_the_same_id_however_often_it_fails(broker: StubBroker) -> None:
    first = ended(broker, charge(broker, retries=1), exception=ValueError("no"))
    again = ended(broker, charge(broker, retries=1), exception=ValueError("still no"))

    assert first.message_id == again.message_id


def test_each_attempt_has_a_callback_of_its_own(broker: StubBroker) -> None:
    ids = {
        ended(broker, charge(broker), exception=ValueError("retried")).message_id,
        ended(broker, charge(broker, retries=1), exception=ValueError("exhausted")).message_id,
        ended(broker, charge(broker, retries=1), exception=LookupError("given up at once")).message_id,
        ended(broker, charge(broker), exception=LookupError("given up at once")).message_id,
        ended(broker, charge(broker), result=None).message_id,
    }

    assert len(ids) == 5


def test_a_message_may_name_another_actor_than_its_own(broker: StubBroker) -> None:
    declare(broker, "silent")

    assert ended(broker, charge(broker, on_success="report"), result=1).actor_name == "report"
    broker.emit_after("process_message", charge(broker, on_success="silent"), result=1)
    assert reports(broker) == []


def test_without_a_callback_nothing_is_sent(broker: StubBroker) -> None:
    declare(broker, "alone")
    message = dramatiq.MessageProxy(dramatiq.Message("default", "alone", (), {}, {}))

    broker.emit_after("process_message", message, result=1)
    broker.emit_after("process_message", message, exception=ValueError("no"))

    assert reports(broker) == []


def test_a_message_that_was_failed_before_it_ran_has_not_succeeded(broker: StubBroker) -> None:
    message = charge(broker)
    message.fail()

    broker.emit_after("process_message", message, result=None)

    assert reports(broker) == []
