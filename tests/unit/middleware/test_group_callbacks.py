from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import dramatiq
import pytest
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import Pipelines
from dramatiq.rate_limits import Barrier, RateLimiterBackend, WindowRateLimiter

from middleware.group_callbacks import GroupCallbacks, NotABarrier
from middleware.stores import MemoryStore, StoreUnavailable

NOW = 1_700_000_000_000


class Application:
    """A broker, a store with a clock, and a group of two messages with a callback."""

    def __init__(self) -> None:
        self.now = NOW
        self.store = MemoryStore(lambda: self.now)
        self.middleware = GroupCallbacks(store=lambda: self.store, barrier_ttl=60_000)
        self.broker = StubBroker(middleware=[Pipelines(), self.middleware])
        self.pack = self._declare("pack")
        self.ship = self._declare("ship")

    def group(self, children: Sequence[Any]) -> dramatiq.group:
        group = dramatiq.group(children, broker=self.broker)
        group.add_completion_callback(self.ship.message("all"))
        return group

    def enqueued(self) -> list[dramatiq.MessageProxy]:
        """Return what was enqueued since the last call."""
        queue = self.broker.queues["default"]
        return [dramatiq.MessageProxy(dramatiq.Message.decode(queue.get_nowait())) for _ in range(queue.qsize())]

    def succeed(self, message: dramatiq.MessageProxy, result: Any = None) -> list[dramatiq.MessageProxy]:
        """Let *message* succeed, and return what follows."""
        self.middleware.after_process_message(self.broker, message, result=result)
        return self.enqueued()

    def _declare(self, name: str) -> dramatiq.Actor[..., Any]:
        def fn(*args: Any) -> None: ...

        return dramatiq.Actor(fn, broker=self.broker, actor_name=name, queue_name="default", priority=0, options={})


@pytest.fixture
def application() -> Application:
    return Application()


@pytest.fixture
def members(application: Application) -> list[dramatiq.MessageProxy]:
    application.group([application.pack.message(1), application.pack.message(2)]).run()
    return application.enqueued()


def test_the_callback_follows_the_last_member(application: Application, members: list[dramatiq.MessageProxy]) -> None:
    assert application.succeed(members[0]) == []
    (callback,) = application.succeed(members[1])

    assert (callback.actor_name, callback.args) == ("ship", ("all",))


def test_a_member_that_is_delivered_twice_counts_once(
    application: Application, members: list[dramatiq.MessageProxy]
) -> None:
    assert application.succeed(members[0]) == []
    assert application.succeed(members[0]) == []
    assert len(application.succeed(members[1])) == 1


def test_a_member_that_comes_again_when_all_have_sends_the_same_callback_again(
    application: Application, members: list[dramatiq.MessageProxy]
) -> None:
    application.succeed(members[0])
    (callback,) = application.succeed(members[1])
    (again,) = application.succeed(members[0])

    assert callback.message_id == again.message_id


def test_neither_an_attempt_that_failed_nor_a_failed_message_arrives(
    application: Application, members: list[dramatiq.MessageProxy]
) -> None:
    application.succeed(members[0])

    application.middleware.after_process_message(application.broker, members[1], exception=ValueError("no"))
    assert application.enqueued() == []
    members[1].fail()
    assert application.succeed(members[1]) == []


def test_of_a_pipeline_in_a_group_the_last_message_arrives(application: Application) -> None:
    messages = [application.pack.message(1), application.pack.message(2)]
    pipeline = dramatiq.pipeline(messages, broker=application.broker)
    application.group([pipeline]).run()
    (first,) = application.enqueued()

    application.broker.emit_after("process_message", first, result="packed")
    (last,) = application.enqueued()
    application.broker.emit_after("process_message", last, result="packed too")
    (callback,) = application.enqueued()

    assert (last.actor_name, last.args) == ("pack", (2, "packed"))
    assert callback.actor_name == "ship"


def test_a_group_that_takes_too_long_never_completes(
    application: Application, members: list[dramatiq.MessageProxy]
) -> None:
    application.succeed(members[0])
    application.now += 60_000

    assert application.succeed(members[1]) == []


def test_groups_are_counted_apart(application: Application) -> None:
    group = application.group([application.pack.message(1), application.pack.message(2)])
    group.run()
    first, _ = application.enqueued()
    group.run()
    _, second = application.enqueued()

    assert application.succeed(first) == []
    assert application.succeed(second) == []


def test_a_message_of_no_group_asks_nothing_of_the_store(application: Application) -> None:
    application.middleware = GroupCallbacks(store=unavailable)

    assert application.succeed(dramatiq.MessageProxy(application.pack.message(1))) == []


def test_a_member_is_not_lost_while_the_store_is_down(
    application: Application, members: list[dramatiq.MessageProxy]
) -> None:
    application.middleware = GroupCallbacks(store=unavailable)

    with pytest.raises(StoreUnavailable):
        application.succeed(members[0])


def test_a_group_is_not_run_while_the_store_is_down(application: Application) -> None:
    application.broker.middleware[:] = [GroupCallbacks(store=unavailable)]

    with pytest.raises(StoreUnavailable):
        application.group([application.pack.message(1)]).run()
    assert application.enqueued() == []


def unavailable() -> MemoryStore:
    raise StoreUnavailable("it is down")


@pytest.mark.parametrize(
    "use",
    [
        lambda backend: backend.incr("key", 1, 1, 1),
        lambda backend: WindowRateLimiter(backend, "limit").acquire().__enter__(),
        lambda backend: Barrier(backend, "barrier").wait(),
        lambda backend: backend.decr("key", 1, 0, 1),
        lambda backend: backend.wait("key", timeout=1),
        lambda backend: backend.wait_notify("key", 1),
    ],
)
def test_the_backend_of_groups_refuses_to_be_a_rate_limiters(
    application: Application, use: Callable[[RateLimiterBackend], None]
) -> None:
    with pytest.raises(NotABarrier, match=r"only opens groups; give a rate limiter or a barrier one of"):
        use(application.middleware.rate_limiter_backend)
