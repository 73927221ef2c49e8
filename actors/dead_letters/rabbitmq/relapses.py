"""Whether what is replayed through RabbitMQ fails again."""

from __future__ import annotations

from actors.brokers.buried import Buried
from actors.brokers.dead_queues import DeadQueues
from actors.dead_letters.relapses import LEAST, are_too_many, is_relapse


class Relapses:
    """Counts the new dead letters of messages that were replayed since *started*.

    They come to the end of the queues that are replayed, where they can be seen only by looking through all that is
    before them. So they are looked for when enough new letters have come, of whatever message; and if too few of those
    are relapses, not again before there are twice as many.

    Args:
        queues: the queues of dead letters.
        started: when the replay began, in milliseconds since the Unix epoch.
        stop_after: how many are too many; None for most of those that have ended.
    """

    def __init__(self, queues: DeadQueues, *, started: int, stop_after: int | None) -> None:
        self._queues = queues
        self._started = started
        self._stop_after = stop_after
        self._before = self._ready()
        self._look_at = LEAST if stop_after is None else stop_after
        self.found = 0

    def may_be_many(self, taken: int) -> bool:
        """Return whether to look for them, while *taken* letters are in hand or were acked."""
        return self._arrived(taken) >= self._look_at

    def are_too_many(self, replayed: int) -> bool:
        """Look for them, with no letter in hand; return whether there are too many for *replayed* messages."""
        arrived = self._arrived(replayed)
        self.found = 0
        self._queues.look(self._see)
        self._look_at = max(2 * arrived, self._look_at)
        return are_too_many(self.found, replayed, self._queues.waiting, stop_after=self._stop_after)

    def _arrived(self, taken: int) -> int:
        return self._ready() + taken - self._before

    def _ready(self) -> int:
        return sum(queue.count for queue in self._queues.existing())

    def _see(self, buried: Buried) -> None:
        self.found += is_relapse(buried.letter, self._started)
