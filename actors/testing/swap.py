"""Puts the stub broker in the place of the real one, and takes it away again."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import dramatiq
from dramatiq.asyncio import EventLoopThread, get_event_loop_thread, set_event_loop_thread

from actors.assembly import settings, swap_store
from actors.errors import StubError
from actors.testing.stub import StubBroker
from middleware.stores import MemoryStore

R = TypeVar("R")

# Where the middleware comes from that the RabbitMQ broker has for itself, and a running worker for itself.
NOT_FOR_THE_STUB = ("actors.brokers.", "dramatiq.worker")


def current() -> StubBroker:
    """Return the stub broker that is in place.

    Raises:
        StubError: none is.
    """
    broker = dramatiq.get_broker()
    if not isinstance(broker, StubBroker):
        raise StubError(
            "no stub broker is in place; take the pytest fixture stub_broker, "
            "or wrap the code in `with actors.testing.stub_broker():`"
        )
    return broker


@contextmanager
def stub_broker() -> Iterator[StubBroker]:
    """Let all actors send to a new stub broker until the end of the block; blocks may be nested.

    The stub has the middleware of the broker whose place it takes: the same objects, those that the application has
    added included. Idempotency keys are kept in memory, by the stub's clock, until the end of the block. Async actors
    run on an event loop of the block's own. Actors declared within the block vanish at its end, except those of modules
    that are imported there for the first time: the real broker takes them over.
    """
    outer = dramatiq.get_broker()
    stub = StubBroker(
        middleware=[each for each in outer.middleware if not type(each).__module__.startswith(NOT_FOR_THE_STUB)],
        max_message_bytes=lambda: settings().max_message_bytes,
    )
    # They keep what middleware has put around their functions: it is the same middleware. More may be added here.
    functions = {actor: actor.fn for actor in outer.actors.values()}
    for actor in functions:
        _move(actor, stub)
    dramatiq.set_broker(stub)
    outer_store = swap_store(MemoryStore(lambda: int(stub.clock.now().timestamp() * 1000)))
    try:
        with _event_loop():
            yield stub
    finally:
        swap_store(outer_store)
        dramatiq.set_broker(outer)
        for actor, fn in functions.items():
            actor.broker, actor.fn = outer, fn
        for actor in stub.actors.values():
            if actor.actor_name not in outer.actors and _is_held_by_its_module(actor):
                _move(actor, outer)


def _move(actor: dramatiq.Actor[..., Any], broker: dramatiq.Broker) -> None:
    # Not by declaring it, whose hooks would put their wrappers around its function once more.
    actor.broker = broker
    broker.actors[actor.actor_name] = actor
    broker.declare_queue(actor.queue_name)


def _is_held_by_its_module(actor: dramatiq.Actor[..., Any]) -> bool:
    module = sys.modules.get(actor.fn.__module__)
    return any(value is actor for value in vars(module).values()) if module is not None else False


@contextmanager
def _event_loop() -> Iterator[None]:
    outer, loop = get_event_loop_thread(), _LoopOnDemand()
    set_event_loop_thread(loop)
    try:
        yield
    finally:
        set_event_loop_thread(outer)
        loop.stop()


class _LoopOnDemand(EventLoopThread):
    """The event loop of async actors; its thread starts with the first of them."""

    def __init__(self) -> None:
        super().__init__(logging.getLogger("actors.testing"))
        self.daemon = True
        self._starting = threading.Lock()

    def run_coroutine(self, coro: Awaitable[R]) -> R:
        with self._starting:
            if not self.is_alive():
                self.start(timeout=10.0)
        return super().run_coroutine(coro)

    def stop(self) -> None:
        super().stop()  # type: ignore[no-untyped-call]
        self.loop.close()
