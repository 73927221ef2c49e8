"""Asks all schedulers of an environment, and tells the one that leads."""

from __future__ import annotations

import time
from collections.abc import Callable

from actors.brokers.admin import Admin
from actors.brokers.broadcast import Broadcast
from actors.brokers.topology import Topology
from actors.operating.view import Heard, Reply
from periodic.inquiry import Inquiry

# How long schedulers may take for one answer, in seconds: they answer between two ticks.
PATIENCE_S = 2.0
# How soon a leader is looked for again, in seconds.
_AGAIN_AFTER_S = 0.2


class Schedulers:
    """Puts inquiries to all schedulers at once.

    Args:
        admin: its connection.
        topology: names the exchange.

    Raises:
        ConnectionFailed: from every method, when RabbitMQ does not answer.
        AccessRefused: from every method, when the user has no right to ask.
    """

    def __init__(self, admin: Admin, topology: Topology) -> None:
        self._admin = admin
        self._topology = topology
        self._broadcast = Broadcast(admin, topology.schedulers, self._hear)
        self._replies: list[Reply] = []

    def ask(self, inquiry: Inquiry) -> Heard:
        """Return what all schedulers answer to *inquiry*, once they have, or after ``PATIENCE_S``."""
        return self._ask(inquiry, lambda replies, connected: len(replies) >= connected)

    def tell(self, inquiry: Inquiry, *, timeout_s: float) -> Heard:
        """Return what is answered to *inquiry* once a leader has answered it; it is told again until then.

        Without a leader it gives up after *timeout_s*, and at once where no scheduler is connected at all. Whatever is
        told twice is done once.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            heard = self._ask(
                inquiry,
                lambda replies, connected: any(each.is_leaders for each in replies) or len(replies) >= connected,
            )
            nobody = not heard.replies and not heard.silent
            if heard.leaders is not None or nobody or time.monotonic() >= deadline:
                return heard
            again = time.monotonic() + _AGAIN_AFTER_S
            self._admin.pump_until(lambda: time.monotonic() >= again)  # noqa: B023  # it is called at once

    def _ask(self, inquiry: Inquiry, is_enough: Callable[[list[Reply], int], bool]) -> Heard:
        self._admin.restart_clock()
        depth = self._admin.depth(self._topology.connected_schedulers)
        connected = depth.consumers if depth is not None else 0
        if not connected:
            return Heard()
        self._replies = []
        self._broadcast.ask(inquiry.encode(), lambda: is_enough(self._replies, connected), patience_s=PATIENCE_S)
        replies, self._replies = self._replies, []
        # Once the leader has spoken, nobody waits for the others.
        silent = 0 if any(each.is_leaders for each in replies) else max(0, connected - len(replies))
        return Heard(replies, silent)

    def _hear(self, body: bytes, is_current: bool) -> None:
        if not is_current:
            return
        try:
            self._replies.append(Reply.decode(body))
        except ValueError:
            return  # of a version that this one does not understand; it counts as silent
