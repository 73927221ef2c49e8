from __future__ import annotations

from decimal import Decimal
from typing import Any

import dramatiq
import pytest
from dramatiq.brokers.stub import StubBroker

from actors import actor
from actors.testing import drain, enqueued
from middleware import RestoreArguments
from middleware.restore_arguments import ArgumentsRefused


class Restoring(dramatiq.Actor[..., Any]):
    """An actor whose one argument is a decimal number, as a string in the message."""

    def restore(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        (text,) = args
        if not text.isdigit():
            raise ValueError(f"{text!r} is no number")
        return (Decimal(text),), kwargs


@pytest.fixture
def broker() -> StubBroker:
    return StubBroker(middleware=[RestoreArguments()])


def charge(cents: Any) -> None: ...


def declare(broker: StubBroker, actor_class: type[dramatiq.Actor[..., Any]]) -> dramatiq.Actor[..., Any]:
    return actor_class(charge, broker=broker, actor_name="charge", queue_name="default", priority=0, options={})


def test_the_actor_sees_its_arguments_restored_and_the_message_stays_as_it_came(broker: StubBroker) -> None:
    message = dramatiq.MessageProxy(declare(broker, Restoring).message("999"))

    broker.emit_before("process_message", message)

    assert message.args == (Decimal(999),)
    assert message._message.args == ("999",)
    assert not message.failed


def test_arguments_that_do_not_fit_fail_the_message_at_once(
    broker: StubBroker, caplog: pytest.LogCaptureFixture
) -> None:
    message = dramatiq.MessageProxy(declare(broker, Restoring).message("much"))

    with pytest.raises(ArgumentsRefused, match=r"^'much' is no number$"):
        broker.emit_before("process_message", message)

    assert message.failed
    assert caplog.messages == [f"message {message.message_id} goes to the dead letters: 'much' is no number"]


def test_an_actor_that_restores_nothing_is_left_alone(broker: StubBroker) -> None:
    message = dramatiq.MessageProxy(declare(broker, dramatiq.Actor).message("much"))

    broker.emit_before("process_message", message)

    assert message.args == ("much",)


def test_a_message_of_an_unknown_actor_is_left_to_dramatiq(broker: StubBroker) -> None:
    message = dramatiq.MessageProxy(dramatiq.Message("default", "gone", ("much",), {}, {}))

    broker.emit_before("process_message", message)

    assert not message.failed


def test_a_retry_and_a_dead_letter_have_the_arguments_that_were_sent(stub_broker: Any) -> None:
    @actor(max_retries=1, min_backoff=1, idempotency_key="order")
    def charge(bare: list, anything: Any, typed: list[int], nested: dict[str, list[int]], *rest: Any) -> None:  # type: ignore[type-arg]
        for each in (bare, anything, typed, nested["a"], *rest):
            each.pop()
        raise ConnectionError("busy")

    sent = ([1, 2], [1, 2], [1, 2], {"a": [1, 2]}, [1, 2])
    charge.send(*sent)
    drain(retries=True)
    assert enqueued()[0].args == sent

    drain(raises=False, with_delays=True)
    (letter,) = stub_broker.dead_letters
    assert (letter._message.args, letter.options["failure"]["reason"]) == (sent, "exhausted")
