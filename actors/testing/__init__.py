"""Helpers for the tests of applications: what was enqueued, and what happens when it runs.

Nothing here needs RabbitMQ. With pytest, take the fixture ``stub_broker``; elsewhere use the context manager::

    with stub_broker() as broker:
        checkout(order_id=42)
        assert_enqueued(charge, args=(42, 999))
        broker.clock.advance(timedelta(minutes=5))
        assert drain().done == 1
"""

from actors.testing.assertions import assert_enqueued, assert_not_enqueued, enqueued
from actors.testing.clock import Clock
from actors.testing.draining import Attempt, Drained, drain
from actors.testing.messages import EnqueuedMessage
from actors.testing.stub import StubBroker
from actors.testing.swap import stub_broker

__all__ = [
    "Attempt",
    "Clock",
    "Drained",
    "EnqueuedMessage",
    "StubBroker",
    "assert_enqueued",
    "assert_not_enqueued",
    "drain",
    "enqueued",
    "stub_broker",
]
