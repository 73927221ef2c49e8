from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import dramatiq
import pytest
from dramatiq.errors import BrokerConnectionError, ConnectionClosed
from dramatiq.middleware import Middleware, SkipMessage

from actors.brokers.dispatch import Dispatch
from actors.errors import EnqueueError, MessageTooLarge, NotEncodable
from middleware.stores import StoreUnavailable

Heard = list[tuple[str, str]]


class Both(Middleware):
    """Overrides the hooks around a message's processing, and tells when they are called."""

    def __init__(self, name: str, heard: Heard) -> None:
        self.name = name
        self.heard = heard

    def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        self.heard.append((self.name, "before"))

    def after_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy, **_: Any) -> None:
        self.heard.append((self.name, "after"))


class Raising(Middleware):
    """Raises the same error from all hooks around a message's processing."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        raise self.error

    def after_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy, **_: Any) -> None:
        raise self.error

    def after_ack(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        raise self.error


class Message(dramatiq.MessageProxy):
    """A delivery as the RabbitMQ broker's consumer makes them."""

    def __init__(self) -> None:
        super().__init__(dramatiq.Message("default", "charge", (), {}, {}))
        self.requeue = False
        self.outbox: list[Any] = []


def test_before_hooks_run_first_to_last_and_after_hooks_last_to_first() -> None:
    heard: Heard = []
    broker = Dispatch(middleware=[Both("a", heard), Both("b", heard)])

    broker.emit_before("process_message", Message())
    broker.emit_after("process_message", Message())

    assert heard == [("a", "before"), ("b", "before"), ("b", "after"), ("a", "after")]


def test_only_hooks_that_a_middleware_overrides_are_called(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[Middleware] = []
    monkeypatch.setattr(Middleware, "before_process_message", lambda self, *_: called.append(self))
    heard: Heard = []

    Dispatch(middleware=[Middleware(), Both("a", heard)]).emit_before("process_message", Message())

    assert called == []
    assert heard == [("a", "before")]


def test_a_hook_may_be_put_on_an_instance() -> None:
    heard: list[object] = []
    middleware: Any = Middleware()
    middleware.before_process_message = lambda broker, message: heard.append(message)
    message = Message()

    Dispatch(middleware=[middleware]).emit_before("process_message", message)

    assert heard == [message]


def test_a_signal_that_nobody_knows_is_heard_by_nobody() -> None:
    broker = Dispatch(middleware=[Middleware()])

    broker.emit_before("tea_time")
    broker.emit_after("tea_time")


def test_middleware_that_comes_later_is_heard_in_its_place() -> None:
    heard: Heard = []
    broker = Dispatch(middleware=[Both("a", heard)])
    broker.emit_before("process_message", Message())

    broker.add_middleware(Both("b", heard))
    broker.middleware.insert(0, Both("first", heard))
    heard.clear()
    broker.emit_before("process_message", Message())

    assert heard == [("first", "before"), ("a", "before"), ("b", "before")]


def test_a_middleware_error_stops_the_message_and_the_hooks_after_it() -> None:
    heard: Heard = []
    skip = SkipMessage("not today")
    broker = Dispatch(middleware=[Raising(skip), Both("a", heard)])

    with pytest.raises(SkipMessage) as error:
        broker.emit_before("process_message", Message())

    assert error.value is skip
    assert heard == []


def test_any_other_error_of_a_before_hook_is_logged_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    heard: Heard = []
    message = Message()

    Dispatch(middleware=[Raising(ValueError("mine")), Both("a", heard)]).emit_before("process_message", message)

    assert heard == [("a", "before")]
    assert not message.failed
    assert [(record.levelname, record.exc_info and str(record.exc_info[1])) for record in caplog.records] == [
        ("CRITICAL", "mine")
    ]


@pytest.mark.parametrize("error", [ValueError("mine"), SkipMessage(), BrokerConnectionError("away")])
def test_an_error_of_an_after_hook_does_not_keep_the_others_from_running(error: Exception) -> None:
    heard: Heard = []

    Dispatch(middleware=[Both("a", heard), Raising(error)]).emit_after("process_message", Message())

    assert heard == [("a", "after")]


def test_a_failed_attempt_that_nothing_follows_because_a_hook_raised_is_dead_lettered() -> None:
    message = Message()

    Dispatch(middleware=[Raising(TypeError("a retry_when that raises"))]).emit_after(
        "process_message", message, exception=ConnectionError()
    )

    assert message.failed
    assert not message.requeue
    assert message.options["failure"] == {"reason": "", "type": "TypeError", "message": "a retry_when that raises"}


def test_a_failed_attempt_that_is_tried_again_is_not_dead_lettered_too_because_a_hook_raised() -> None:
    message = Message()
    message.outbox.append(SimpleNamespace(message=message._message))

    Dispatch(middleware=[Raising(TypeError("mine"))]).emit_after("process_message", message, exception=ValueError())

    assert not message.failed
    assert not message.requeue


def test_a_done_attempt_whose_after_hook_raises_stays_done() -> None:
    message = Message()

    Dispatch(middleware=[Raising(TypeError("mine"))]).emit_after("process_message", message, result=42)

    assert not message.failed
    assert not message.requeue


@pytest.mark.parametrize(
    "error",
    [
        BrokerConnectionError("away"),
        ConnectionClosed("away"),
        EnqueueError("not confirmed", unconfirmed=[], maybe_enqueued=False),
        StoreUnavailable("away"),
    ],
)
@pytest.mark.parametrize("exception", [None, ConnectionError()])
def test_an_attempt_whose_outcome_could_not_be_published_is_requeued(
    error: Exception, exception: Exception | None
) -> None:
    message = Message()

    Dispatch(middleware=[Raising(error)]).emit_after("process_message", message, exception=exception)

    assert message.requeue
    assert not message.failed


def test_an_error_after_the_ack_changes_nothing() -> None:
    message = Message()

    Dispatch(middleware=[Raising(BrokerConnectionError("away"))]).emit_after("ack", message)

    assert not message.requeue
    assert not message.failed


@pytest.mark.parametrize("error", [NotEncodable("an object"), MessageTooLarge("too large")])
def test_a_done_attempt_whose_next_message_can_never_be_sent_is_dead_lettered(error: Exception) -> None:
    message = Message()

    Dispatch(middleware=[Raising(error)]).emit_after("process_message", message, result=42)

    assert message.failed
    assert not message.requeue
    assert message.options["failure"] == {"reason": "too_large", "type": type(error).__name__, "message": str(error)}


class Outboxes(Middleware):
    """Notes the outbox that is open in each of its hooks."""

    def __init__(self) -> None:
        self.seen: dict[str, list[Any] | None] = {}

    def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        self._see("before_process_message", broker)

    def after_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy, **_: Any) -> None:
        self._see("after_process_message", broker)
        raise ValueError("mine")

    def after_skip_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        self._see("after_skip_message", broker)

    def after_ack(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        self._see("after_ack", broker)

    def _see(self, hook: str, broker: dramatiq.Broker) -> None:
        assert isinstance(broker, Dispatch)
        self.seen[hook] = broker.outbox


def test_what_the_hooks_at_the_end_of_an_attempt_enqueue_belongs_in_its_outbox() -> None:
    middleware, message = Outboxes(), Message()
    broker = Dispatch(middleware=[middleware])

    broker.emit_before("process_message", message)
    broker.emit_after("process_message", message)
    broker.emit_after("skip_message", message)
    broker.emit_after("ack", message)

    assert middleware.seen["before_process_message"] is None
    assert middleware.seen["after_process_message"] is message.outbox
    assert middleware.seen["after_skip_message"] is message.outbox
    assert middleware.seen["after_ack"] is None
    assert broker.outbox is None


def test_an_outbox_is_that_of_its_thread() -> None:
    seen: list[object] = []

    class Elsewhere(Middleware):
        def after_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy, **_: Any) -> None:
            assert isinstance(broker, Dispatch)
            thread = threading.Thread(target=lambda: seen.append(broker.outbox))
            thread.start()
            thread.join()

    Dispatch(middleware=[Elsewhere()]).emit_after("process_message", Message())

    assert seen == [None]
