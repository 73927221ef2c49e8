"""Delayed messages: look at them, cancel them, run them now.

They wait where the messages do: in RabbitMQ, the soonest due of them in the memory of relays, or in the file.
"""

from __future__ import annotations

from actors.assembly import broker, store
from actors.brokers.inquiry import Delayed, Found
from actors.brokers.walk import Looked
from actors.delayed.messages import DEPTH, DelayedMessages
from actors.delayed.page import Dealt, Page

__all__ = ["DEPTH", "Dealt", "Delayed", "DelayedMessages", "Found", "Looked", "Page", "delayed_messages"]


def delayed_messages(*, depth: int = DEPTH, timeout_s: float = 10.0) -> DelayedMessages:
    """Return the delayed messages of the application; see :class:`DelayedMessages`."""
    return DelayedMessages(broker, store, depth=depth, timeout_s=timeout_s)
