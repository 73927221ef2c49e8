"""Our retries on Dramatiq's own broker and worker: a message whose retry can't be published is dead, not acked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import dramatiq
import pytest
from dramatiq.brokers.stub import StubBroker
from dramatiq.errors import ConnectionClosed, Retry
from dramatiq.middleware import Middleware, Shutdown
from dramatiq.middleware import Retries as DramatiqRetries

from middleware import AgeLimit, Callbacks, Idempotency, Retries
from middleware.failure import failure_of
from middleware.guard import TryLater
from middleware.retry_policy import RetryDefaults
from middleware.stores import MemoryStore
from middleware.trail import retries_of, trail_of

DEFAULTS = RetryDefaults(max_retries=2, min_backoff_ms=1, max_backoff_ms=2)


class Broker(StubBroker):
    """Dramatiq's stub broker, which may refuse what it is given."""

    refuses: Callable[[dramatiq.Message[Any]], bool] = staticmethod(lambda message: False)

    def __init__(self, middleware: list[Middleware]) -> None:
        #: With which delays messages were enqueued that had failed before.
        self.delays: list[int | None] = []
        super().__init__(middleware=middleware)

    def enqueue(self, message: dramatiq.Message[Any], *, delay: int | None = None) -> dramatiq.Message[Any]:
        if trail_of(message):
            self.delays.append(delay)
        if self.refuses(message):
            raise ConnectionClosed("away")
        return super().enqueue(message, delay=delay)


class Application:
    """A worker with one thread for actor ``charge``, and what the callbacks were told."""

    def __init__(self, middleware: list[Middleware]) -> None:
        self.broker = Broker(middleware=middleware)
        self.worker = dramatiq.Worker(self.broker, worker_timeout=10, worker_threads=1)
        self.ran: list[str] = []
        self.told: list[tuple[str, Any]] = []
        for name in ("succeeded", "failed", "exhausted"):
            self.callback(name)

    def callback(self, name: str, **options: Any) -> None:
        def tell(message: dict[str, Any], outcome: Any) -> None:
            self.told.append((name, outcome))

        dramatiq.actor(broker=self.broker, actor_name=name, **options)(tell)

    def declare(self, work: Callable[[], object], **options: Any) -> dramatiq.Actor[..., Any]:
        def charge() -> None:
            self.ran.append("charge")
            work()

        return dramatiq.actor(broker=self.broker, actor_name="charge", **options)(charge)

    def join(self) -> None:
        self.broker.join("default", timeout=20_000, fail_fast=False)

    @property
    def reasons(self) -> list[str]:
        return [failure_of(letter).reason for letter in self.broker.dead_letters]


def middleware(guarded: bool) -> list[Middleware]:
    store = MemoryStore()
    guard: list[Middleware] = [Idempotency(store=lambda: store)] if guarded else []
    return [*guard, AgeLimit(), Callbacks(), Retries(defaults=lambda: DEFAULTS)]


@pytest.fixture(params=[True, False], ids=["guarded", "unguarded"])
def app(request: pytest.FixtureRequest) -> Iterator[Application]:
    app = Application(middleware(request.param))
    app.worker.start()
    yield app
    # No message has ended the only thread there is.
    assert all(thread.is_alive() for thread in app.worker.workers)
    app.worker.stop()


def fail() -> NoReturn:
    raise ConnectionError("busy")


def test_a_message_is_tried_again_as_often_as_it_may_and_is_then_dead(app: Application) -> None:
    app.declare(fail, on_failure="failed", on_retry_exhausted="exhausted").send()
    app.join()

    assert (app.ran, app.reasons) == (["charge"] * 3, ["exhausted"])
    assert sorted(app.told) == [
        ("exhausted", {"retries": 2, "max_retries": 2}),
        ("failed", {"reason": "exhausted", "type": "ConnectionError", "message": "busy"}),
    ]


def test_a_message_that_succeeds_at_last_is_done(app: Application) -> None:
    errors = iter([ConnectionError(), Retry(delay=1), None])

    def work() -> None:
        error = next(errors)
        if error is not None:
            raise error

    app.declare(work, on_success="succeeded").send()
    app.join()

    assert (len(app.ran), app.broker.dead_letters, app.told) == (3, [], [("succeeded", None)])


def test_a_retry_at_once_takes_no_way_round_through_a_delay(app: Application) -> None:
    errors = iter([Retry(delay=0), None])

    def work() -> None:
        error = next(errors)
        if error is not None:
            raise error

    app.declare(work).send()
    app.join()

    assert (len(app.ran), app.broker.delays) == (2, [None])


@pytest.mark.parametrize(
    ("options", "reason", "attempts"),
    [
        ({"throws": ConnectionError}, "throws", 1),
        ({"retry_when": lambda retries, error: False}, "predicate", 1),
        ({"retry_when": lambda retries, error: "yes"}, "predicate", 1),
        ({"retry_when": lambda retries, error: True}, "exhausted", 3),
        ({"max_age": 50, "min_backoff": 60}, "expired", 1),
        ({"max_retries": "many"}, "undecodable", 0),
        ({"max_age": "1h"}, "undecodable", 0),
    ],
)
def test_every_way_to_fail_ends_in_the_dead_letters(
    app: Application, options: dict[str, Any], reason: str, attempts: int
) -> None:
    app.declare(fail, **options).send()
    app.join()

    assert (app.reasons, len(app.ran)) == ([reason], attempts)


def test_a_retry_that_can_not_be_published_is_a_dead_letter(app: Application) -> None:
    app.broker.refuses = lambda message: bool(trail_of(message))
    message = app.declare(fail).send()
    app.join()

    (letter,) = app.broker.dead_letters
    assert (letter.message_id, len(app.ran), trail_of(letter)[0]["by"]) == (message.message_id, 1, "policy")


@pytest.mark.parametrize(
    "options",
    [
        {"retries": "1"},
        {"attempts": "x", "failure": [], "due": "yesterday"},
        {"max_retries": "many"},
        {"min_backoff": 10**30},
        {"max_age": "1h"},
        {"throws": "ConnectionError"},
        {"on_failure": ["failed"], "on_retry_exhausted": {"x": 1}},
        {"retries": 1, "failure": {"reason": "exhausted"}, "max_retries": "many", "on_retry_exhausted": "exhausted"},
    ],
    ids=lambda options: repr(options)[:60],
)
def test_options_of_another_producer_do_not_lose_its_message(app: Application, options: dict[str, Any]) -> None:
    charge = app.declare(fail)
    message = app.broker.enqueue(charge.message().copy(options=options))
    app.join()

    assert [letter.message_id for letter in app.broker.dead_letters] == [message.message_id]


def test_an_expired_message_with_a_limit_that_is_none_is_dead(app: Application) -> None:
    """Who waits for it is told all the same, and nothing keeps the worker from settling it."""
    charge = app.declare(fail, max_age=1, on_retry_exhausted="exhausted")
    message = charge.message().copy(options={"retries": 2, "max_retries": "many"}, message_timestamp=0)
    app.broker.enqueue(message)
    app.join()

    assert (app.ran, app.reasons) == ([], ["expired"])
    assert app.told == [("exhausted", {"retries": 1, "max_retries": None})]


@pytest.mark.parametrize("option", ["on_failure", "on_retry_exhausted"])
@pytest.mark.parametrize(("name", "meant"), [("exhauste", "exhausted"), (["failed"], "failed")])
def test_a_callback_that_nobody_knows_does_not_lose_the_message(
    app: Application, option: str, name: object, meant: str, caplog: pytest.LogCaptureFixture
) -> None:
    message = app.declare(fail, max_retries=0, **{option: name}).send()
    app.join()

    assert [letter.message_id for letter in app.broker.dead_letters] == [message.message_id]
    (line,) = [record for record in caplog.records if record.levelname == "CRITICAL"]
    assert line.exc_info is not None
    assert str(line.exc_info[1]) == (
        f"message {message.message_id}: no actor has the name that {option}={name!r} says, did you mean {meant!r}?"
    )


def test_a_callback_that_nobody_knows_leaves_a_success_a_success(app: Application) -> None:
    app.declare(lambda: None, on_success="succeeeded").send()
    app.join()

    assert (len(app.ran), app.broker.dead_letters) == (1, [])


@pytest.mark.parametrize("app", [True], indirect=True)
def test_a_callback_that_a_middleware_refuses_does_not_lose_the_message(app: Application) -> None:
    """Its key can't be made, which is a MiddlewareError: from before_nack Dramatiq's worker would not settle."""
    app.callback("keyed", idempotency_key="{message.nothing}")
    message = app.declare(fail, max_retries=0, on_failure="keyed").send()
    app.join()

    assert [letter.message_id for letter in app.broker.dead_letters] == [message.message_id]


class Defer(Middleware):
    """Defers each message twice."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []

    def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        if message.actor_name == "charge":
            self.seen.append(dict(message.options))
            if len(self.seen) < 3:
                raise TryLater("not yet", delay=1)


@pytest.mark.parametrize("options", [{}, {"max_age": 60_000}])
def test_a_message_that_is_deferred_uses_up_none_of_its_attempts_and_grows_no_younger(
    app: Application, options: dict[str, Any]
) -> None:
    defer = Defer()
    app.broker.middleware.insert(0, defer)
    message = app.declare(fail, max_retries=0, **options).send()
    app.join()

    (letter,) = app.broker.dead_letters
    assert (len(app.ran), retries_of(letter), len(trail_of(letter))) == (1, 1, 1)
    assert [each.get("due") for each in defer.seen] == [None, *[message.message_timestamp] * 2]
    assert [each.get("retries") for each in defer.seen] == [None, None, None]


@pytest.fixture
def aging() -> Iterator[Application]:
    """With the limit of age alone, beside Dramatiq's own retries."""
    app = Application([AgeLimit(), Callbacks(), DramatiqRetries(max_retries=1, min_backoff=1, max_backoff=2)])
    app.worker.start()
    yield app
    app.worker.stop()


def test_a_limit_of_age_that_is_none_does_not_lose_the_message(aging: Application) -> None:
    message = aging.broker.enqueue(aging.declare(fail).message().copy(options={"max_age": "1h"}))
    aging.join()

    assert [letter.message_id for letter in aging.broker.dead_letters] == [message.message_id]
    assert (aging.ran, aging.reasons) == ([], ["undecodable"])


def test_a_retry_of_dramatiqs_does_not_make_a_message_younger_either(aging: Application) -> None:
    message = aging.declare(fail, max_age=60_000).send()
    aging.join()

    (letter,) = aging.broker.dead_letters
    assert (len(aging.ran), letter.options["due"]) == (2, message.message_timestamp)


def test_an_attempt_that_nothing_follows_is_failed() -> None:
    """The worker is interrupted while it asks a predicate."""

    def ask(*_: object) -> NoReturn:
        raise Shutdown

    retries = Retries(ask=ask)
    broker = StubBroker(middleware=[retries])
    dramatiq.actor(broker=broker, actor_name="charge", retry_when=lambda *_: True)(fail)
    message = dramatiq.MessageProxy(dramatiq.Message("default", "charge", (), {}, {}))

    with pytest.raises(Shutdown):
        retries.after_process_message(broker, message, exception=ConnectionError())
    assert message.failed
