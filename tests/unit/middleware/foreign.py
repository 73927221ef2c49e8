"""What another producer sends, which knows nothing of our hooks, our checks and our JSON."""

from __future__ import annotations

import itertools
import json
from datetime import timedelta
from typing import Any

import dramatiq

from actors.testing import StubBroker
from actors.testing.messages import Entry

_sequence = itertools.count(10**6)


def send(broker: StubBroker, message: dramatiq.Message[Any]) -> None:
    """Put *message* into its queue as it is."""
    now = broker.clock.now()
    body = json.dumps(message.asdict()).encode()
    broker.declare_queue(message.queue_name)
    broker.put(Entry(now, next(_sequence), message.queue_name, body, timedelta(), now))
