"""Asks all relays of an environment what they keep."""

from __future__ import annotations

from actors.brokers.admin import Admin
from actors.brokers.broadcast import Broadcast
from actors.brokers.inquiry import Answer, Inquiry
from actors.brokers.topology import Topology


class Asking:
    """Puts inquiries to all relays at once.

    Args:
        admin: its connection.
        topology: names the exchange.
        patience_s: how long the relays may take for one answer, in seconds.

    Attributes:
        silent: how many relays there are that do not answer: they are of an earlier version, or frozen.
    """

    def __init__(self, admin: Admin, topology: Topology, *, patience_s: float) -> None:
        self.silent = 0
        self._broadcast = Broadcast(admin, topology.relays, self._hear)
        self._patience_s = patience_s
        self._answered = 0
        self._answers: list[Answer] = []

    def ask(self, inquiry: Inquiry, relays: int) -> list[Answer]:
        """Return the answers of as many *relays* to *inquiry*; fewer if some do not answer in time.

        Raises:
            AccessRefused: the user has no right to ask.
        """
        expected = max(0, relays - self.silent)
        if not expected and (self._broadcast.nobody_listens or not inquiry.took_ms):
            return []
        self._answered = 0
        self._broadcast.ask(inquiry.encode(), lambda: self._answered >= expected, patience_s=self._patience_s)
        self.silent += max(0, expected - self._answered)
        answers, self._answers = self._answers, []
        return answers

    def _hear(self, body: bytes, is_current: bool) -> None:
        try:
            self._answers.append(Answer.decode(body))  # a late one, too: what it says has happened
        except ValueError:
            return  # of a version that this one does not understand; it counts as silent
        self._answered += is_current
