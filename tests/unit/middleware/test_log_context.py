"""What an actor's own log lines say of its attempt, in a worker of Dramatiq's, and what messages bring along."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from types import ModuleType
from typing import Any

import dramatiq
import pytest
import structlog
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import Middleware, SkipMessage
from structlog.contextvars import bind_contextvars, bound_contextvars, get_contextvars

from actors import logs
from middleware import AsyncIO, AttemptLog, Attempts, LogContext, Retries
from middleware.log_context import OPTION
from middleware.retry_policy import RetryDefaults

shop = logging.getLogger("shop")
user: ContextVar[str] = ContextVar("user", default="nobody")


class Site:
    """A worker with one thread, whose lines are JSON, or text."""

    def __init__(self, *others: Middleware, names: tuple[str, ...] = ()) -> None:
        self.lines = io.StringIO()
        retries = Retries(defaults=lambda: RetryDefaults(max_retries=1, min_backoff_ms=1, max_backoff_ms=2))
        log = Attempts([AttemptLog()])
        self.broker = StubBroker(middleware=[log, LogContext(names=lambda: names), retries, AsyncIO(), *others])
        self.worker = dramatiq.Worker(self.broker, worker_timeout=10, worker_threads=1)

    def declare(self, fn: Callable[..., Any]) -> dramatiq.Actor[..., Any]:
        return dramatiq.actor(broker=self.broker)(fn)

    def run(self) -> None:
        self.worker.start()
        try:
            self.broker.join("default", timeout=10_000, fail_fast=False)
            self.worker.join()
        finally:
            self.worker.stop()

    def json(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of *event*."""
        lines = map(json.loads, self.lines.getvalue().splitlines())
        return [line for line in lines if line["event"] == event]


@pytest.fixture
def make_site() -> Iterator[Callable[..., Site]]:
    """Return a function that makes a site; the root logger writes to its lines alone."""
    root, outer = logging.getLogger(), logging.getLogger().handlers
    levels = {logger: logger.level for logger in (shop, logging.getLogger("middleware"))}

    def make(*others: Middleware, text: bool = False, names: tuple[str, ...] = ()) -> Site:
        site = Site(*others, names=names)
        root.handlers = [logging.StreamHandler(site.lines)]
        if text:
            logs.write_text()
        else:
            logs.write_json()
        for logger in levels:
            logger.setLevel(logging.INFO)
        return site

    yield make
    root.handlers = outer
    logs._json_handlers.clear()
    for logger, level in levels.items():
        logger.setLevel(level)


def of_an_attempt(message: dramatiq.Message[Any], line: Mapping[str, Any]) -> bool:
    """Return whether *line* says that the first attempt of *message* has written it."""
    says = (line["message_id"], line["actor"], line["queue"], line["attempt"])
    return says == (message.message_id, message.actor_name, "default", 1) and ":" in line["worker"]


def test_the_lines_of_plain_and_of_async_actors_say_which_attempt_writes_them(make_site: Callable[..., Site]) -> None:
    site = make_site()

    def plain() -> None:
        shop.info("plain")

    async def on_the_loop() -> None:
        shop.info("async", exc_info=ValueError("no order"))

    sent = [site.declare(plain).send(), site.declare(on_the_loop).send()]
    shop.info("outside")
    site.run()

    (plain_line,), (async_line,), (outside,) = site.json("plain"), site.json("async"), site.json("outside")
    assert of_an_attempt(sent[0], plain_line)
    assert of_an_attempt(sent[1], async_line)
    assert "ValueError: no order" in async_line["exception"]
    assert "message_id" not in outside


def test_a_line_of_text_ends_with_its_attempt_before_its_traceback(make_site: Callable[..., Site]) -> None:
    site = make_site(text=True)

    def plain() -> None:
        shop.info("takes %d", 7, exc_info=ValueError("no order"))

    tick = {"schedule": "nightly", "time": "2026-12-01T00:00:00+00:00", "pace": "hours"}
    message = site.broker.enqueue(site.declare(plain).message().copy(options={"tick": tick}))
    site.run()

    lines = site.lines.getvalue().splitlines()
    (at,) = [number for number, line in enumerate(lines) if line.startswith("takes 7")]
    assert lines[at].startswith(f"takes 7 message_id={message.message_id} actor=plain queue=default attempt=1 worker=")
    assert lines[at].endswith(" tick=nightly@2026-12-01T00:00:00+00:00")
    assert lines[at + 1] == "ValueError: no order"
    # What tells of an attempt says so itself.
    (told,) = [line for line in lines if line.startswith("attempt 1 of message")]
    assert "message_id=" not in told


def test_the_number_is_that_of_the_attempt(make_site: Callable[..., Site]) -> None:
    site = make_site()

    def fail() -> None:
        shop.info("fails")
        raise LookupError

    site.declare(fail).send()
    site.run()

    assert [line["attempt"] for line in site.json("fails")] == [1, 2]


def test_what_an_actor_binds_is_gone_when_its_attempt_ends(make_site: Callable[..., Site]) -> None:
    site = make_site()
    seen: list[dict[str, Any]] = []

    def bind(number: int) -> None:
        seen.append(get_contextvars())
        bind_contextvars(order=number)
        shop.info("bound")
        if number == 2:
            raise SkipMessage("enough")

    actor = site.declare(bind)
    for number in (1, 2, 3):
        actor.send(number)
    site.run()

    assert seen == [{}] * 3
    assert [line["order"] for line in site.json("bound")] == [1, 2, 3]


def test_what_a_thread_has_bound_for_itself_stays(make_site: Callable[..., Site]) -> None:
    seen: list[dict[str, Any]] = []

    class Pod(Middleware):
        def after_worker_thread_boot(self, broker: dramatiq.Broker, thread: threading.Thread) -> None:
            bind_contextvars(pod="a")

    site = make_site(Pod())

    def bind() -> None:
        seen.append(get_contextvars())
        bind_contextvars(pod="b", order=1)

    actor = site.declare(bind)
    actor.send()
    actor.send()
    site.run()

    assert seen == [{"pod": "a"}] * 2


@pytest.mark.parametrize("is_async", [False, True])
def test_what_a_middleware_sets_reaches_the_actor(make_site: Callable[..., Site], is_async: bool) -> None:
    seen: list[str] = []

    class Login(Middleware):
        def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
            user.set("ann")

    site = make_site(Login())

    def plain() -> None:
        seen.append(user.get())

    async def on_the_loop() -> None:
        seen.append(user.get())

    site.declare(on_the_loop if is_async else plain).send()
    site.run()

    assert seen == ["ann"]


def test_what_is_bound_at_the_send_reaches_each_attempt_and_what_it_sends(make_site: Callable[..., Site]) -> None:
    site = make_site(names=("request_id", "tenant"))

    async def child() -> None:
        shop.info("child")

    def parent() -> None:
        shop.info("parent")
        bind_contextvars(tenant="its own")
        if len(site.json("parent")) == 1:
            raise LookupError
        children.send()

    children = site.declare(child)
    with bound_contextvars(request_id="r1", tenant=7, other="stays"):
        message = site.declare(parent).send()
    site.run()

    assert message.options[OPTION] == {"request_id": "r1", "tenant": 7}
    assert [(line["request_id"], line["tenant"]) for line in site.json("parent")] == [("r1", 7)] * 2
    assert [(line["request_id"], line["tenant"]) for line in site.json("child")] == [("r1", "its own")]
    assert all("other" not in line for line in site.json("parent"))
    told = [(line["actor"], line["attempt"], line["tenant"]) for line in site.json("attempt")]
    assert told == [("parent", 1, 7), ("parent", 2, 7), ("child", 1, "its own")]


def test_nothing_travels_that_is_not_asked_for(make_site: Callable[..., Site]) -> None:
    site = make_site()

    def work() -> None:
        pass

    with bound_contextvars(request_id="r1"):
        assert OPTION not in site.declare(work).send().options


def test_what_is_no_scalar_does_not_travel_and_is_named_once(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("middleware.log_context._refused", set())
    site = make_site(names=("a", "b", "c", "d", "e", "f"))

    def work() -> None:
        pass

    actor = site.declare(work)
    with bound_contextvars(a="x" * 300, b=1.5, c=[1], d=float("nan"), e=None, f="\udce9"):
        sent = [actor.send().options[OPTION] for _ in range(2)]

    assert sent == [{"a": "x" * 200, "b": 1.5, "f": "\\udce9"}] * 2
    warnings = [json.loads(line)["event"] for line in site.lines.getvalue().splitlines()]
    assert warnings == [
        "context variable 'c' does not travel with messages: list is no str, int, float or bool",
        "context variable 'd' does not travel with messages: float is no str, int, float or bool",
    ]


@pytest.mark.parametrize(
    ("brought", "bound"),
    [
        pytest.param("text", {}, id="no table"),
        pytest.param(None, {}, id="nothing"),
        pytest.param({"tenant": ["x"]}, {}, id="a list"),
        pytest.param({"tenant": "x" * 10_000, "level": "debug"}, {"tenant": "x" * 200}, id="long, and another name"),
    ],
)
def test_what_another_producer_has_put_there_harms_no_attempt(
    make_site: Callable[..., Site], brought: Any, bound: dict[str, Any]
) -> None:
    site = make_site(names=("tenant",))
    seen: list[dict[str, Any]] = []

    def work() -> None:
        seen.append(get_contextvars())

    site.broker.enqueue(site.declare(work).message().copy(options={OPTION: brought}))
    site.run()

    assert seen == [bound]


def test_an_application_that_has_configured_structlog_needs_no_more_than_merge_contextvars(
    make_site: Callable[..., Site],
) -> None:
    site = make_site()
    events: list[dict[str, Any]] = []

    def keep(_: Any, __: str, event: Any) -> Any:
        events.append(dict(event))
        raise structlog.DropEvent

    async def work() -> None:
        structlog.get_logger().info("works", cents=7)

    structlog.configure(processors=[structlog.contextvars.merge_contextvars, keep])
    try:
        message = site.declare(work).send()
        site.run()
    finally:
        structlog.reset_defaults()

    (event,) = events
    assert of_an_attempt(message, event)
    assert event["cents"] == 7
    assert get_contextvars() == {}


def test_structlog_may_be_imported_by_another_thread_just_now(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site(text=True, names=("tenant",))
    for name in ("structlog", "structlog.contextvars"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))

    def work() -> None:
        shop.info("works")

    message = site.declare(work).send()
    site.run()

    assert f"works message_id={message.message_id}" in site.lines.getvalue()
