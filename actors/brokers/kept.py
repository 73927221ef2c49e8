"""What a relay has in memory."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from itertools import chain

from actors.brokers.hold import Held
from actors.brokers.inquiry import Delayed
from actors.brokers.publisher import Publication
from actors.brokers.transfer import Transfer

# Of how many messages it is known that they went back to the end of their queue.
MOST_PUT_BACK = 1_000


class Kept:
    """The messages that a relay keeps, each until it is elsewhere.

    Args:
        transfer: moves them.
    """

    def __init__(self, transfer: Transfer) -> None:
        self._transfer = transfer
        self._held: dict[Held, None] = {}
        self._put_back: deque[tuple[float, Delayed]] = deque(maxlen=MOST_PUT_BACK)

    def __contains__(self, held: Held) -> bool:
        """Return whether *held* is ours, and not on its way elsewhere."""
        return held in self._held

    def add(self, held: Held) -> None:
        """Keep *held*."""
        self._held[held] = None

    def of(self, hold_queue: str) -> Iterator[Held]:
        """Iterate over what came from *hold_queue*, what is on its way elsewhere too."""
        return (held for held in chain(self._held, self._transfer) if held.found_in == hold_queue)

    def put_back(self, hold_queue: str, since: float) -> Iterator[Delayed]:
        """Iterate over what was put from *hold_queue* to its end since then, by the monotonic clock."""
        return (message for at, message in self._put_back if at > since and message.hold_queue == hold_queue)

    def filling(self, full: int) -> Iterator[Held]:
        """Iterate over what came from queues of which no more than *full* are delivered, and as many are kept."""
        counts = Counter(held.found_in for held in self._held)
        return (held for held in list(self._held) if counts[held.found_in] >= full)

    def move(
        self,
        held: Held,
        publication: Publication,
        *,
        otherwise: Callable[[str], None],
        done: Callable[[], None] = lambda: None,
    ) -> None:
        """Publish *publication* in the place of *held*.

        Args:
            held: what is acked.
            publication: what is published.
            otherwise: called with the reason if it was not confirmed; *held* is kept then.
            done: called once *held* is acked.
        """

        def refused(reason: str) -> None:
            self.add(held)
            otherwise(reason)

        self._held.pop(held, None)
        if publication.queue == held.found_in:
            self._put_back.append((time.monotonic(), Delayed.of(held)))
        self._transfer.start(held, publication, refused=lambda refusal: refused(refusal.reason), done=done)

    def cancel(self, held: Held) -> None:
        """Take *held* from its queue for good."""
        self._held.pop(held, None)
        held.ack()

    def give_back(self, held: Held) -> None:
        """Let *held* be delivered again."""
        if held in self._held:
            del self._held[held]
            held.give_back()

    def clear(self) -> None:
        """Forget all of it: its channel has ended, and RabbitMQ delivers it again."""
        self._held.clear()
        self._transfer.abandon()
