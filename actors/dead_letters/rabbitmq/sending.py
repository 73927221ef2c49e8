"""Publishes the messages of dead letters, and acks each letter once its message is confirmed."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence

from dramatiq.errors import ConnectionFailed

from actors.brokers.buried import Buried
from actors.brokers.publisher import Batch, Publication, Publisher, Refusal

Resent = tuple[Buried, Publication]


class Sending:
    """What is on its way from the dead letters to the work queues.

    Args:
        publisher: publishes.
        wake: called, from any thread, when there is something to :meth:`conclude`.
        timeout_s: how long RabbitMQ may confirm nothing at all, in seconds.
    """

    def __init__(self, publisher: Publisher, wake: Callable[[], None], *, timeout_s: float) -> None:
        self._publisher = publisher
        self._wake = wake
        self._timeout_s = timeout_s
        self._open: dict[Batch, Sequence[Resent]] = {}
        self._settled: deque[Batch] = deque()
        # Held while waking: nobody may be woken who is gone.
        self._lock = threading.Lock()
        self._is_over = False
        self._progress_at = 0.0
        self.count = 0

    def start(self, messages: Sequence[Resent]) -> None:
        """Publish *messages*."""
        if not self.count:
            self._progress_at = time.monotonic()
        batch = Batch([publication for _, publication in messages], self._done)
        self._open[batch] = messages
        self.count += len(messages)
        self._publisher.submit(batch)

    def conclude(self) -> Iterator[tuple[Buried, Refusal | None]]:
        """Ack what is confirmed; yield it, and what is refused with the refusal.

        Raises:
            ConnectionFailed: nothing was confirmed for too long.
        """
        if self.count and time.monotonic() - self._progress_at > self._timeout_s:
            raise ConnectionFailed(self._publisher.explain(f"no confirm within {self._timeout_s:g} s"))
        while self._settled:
            self._progress_at = time.monotonic()
            batch = self._settled.popleft()
            refusals = {id(refusal.publication): refusal for refusal in batch.refusals}
            for buried, publication in self._open.pop(batch):
                self.count -= 1
                refusal = refusals.get(id(publication))
                if refusal is None:
                    buried.ack()
                yield buried, refusal

    def close(self) -> None:
        """Forget what is on its way: what is not written yet is not published."""
        with self._lock:
            self._is_over = True
        for batch in self._open:
            self._publisher.withdraw(batch)

    def _done(self, batch: Batch) -> None:
        with self._lock:
            self._settled.append(batch)
            if not self._is_over:
                self._wake()
