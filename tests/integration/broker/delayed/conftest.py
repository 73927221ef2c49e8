"""Relays in this process, and looks at what they and RabbitMQ hold."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from actors.brokers.delays import Relay
from actors.brokers.rabbitmq import RabbitmqBroker
from actors.delayed import DelayedMessages
from middleware.stores.redis import RedisStore
from tests.integration.broker.relays import running_relay

StartRelay = Callable[[RabbitmqBroker], Relay]
Looking = Callable[..., DelayedMessages]


@pytest.fixture
def start_relay() -> Iterator[StartRelay]:
    """Return a function that starts a relay; it is stopped at the end."""
    with ExitStack() as stack:
        yield lambda broker: stack.enter_context(running_relay(broker))


@pytest.fixture
def looking(store: RedisStore) -> Looking:
    """Return a function that gives the delayed messages of a broker."""
    return lambda broker, **options: DelayedMessages(broker, lambda: store, **options)
