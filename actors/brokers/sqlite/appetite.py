"""How many messages a consumer gives its workers at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from dramatiq.worker import ConsumerThread, WorkerThread

# How long a message should be in hand at most before it ends, in seconds.
IN_HAND_S = 0.1


class Appetite:
    """Lets a consumer take much of what is quick, so that few transactions serve it, and little of what is slow.

    It begins with one message a worker thread. While messages end within 100 ms of being handed over, the time that
    they wait for a thread included, it is twice as many the next time, up to *most*. When they take longer it is half
    as many, down to one a thread again: then nothing waits here that another worker could begin.

    Args:
        most: how many messages may be in hand.
        threads: returns how many worker threads there are; None where there is no worker, and *most* counts.
    """

    def __init__(self, most: int, threads: Callable[[], int | None]) -> None:
        self._most = most
        self._threads = threads
        self._window = 0

    def room(self, in_hand: int) -> int:
        """Return how many more messages to take while *in_hand* wait for a worker thread, or run."""
        window = self._window
        if in_hand >= window:
            threads = self._threads()
            window = self._most if threads is None else max(window, threads, 1)
        return max(0, min(window, self._most) - in_hand)

    def learn(self, in_hand_s: Sequence[float]) -> None:
        """Note for how many seconds each of some messages was in hand, now that they have ended."""
        if not in_hand_s:
            return
        if sum(in_hand_s) / len(in_hand_s) < IN_HAND_S:
            self._window = min(self._most, max(1, self._window) * 2)
        else:
            self._window //= 2


def worker_threads() -> int | None:
    """Return how many worker threads there are in this process; None outside of a worker's consumer."""
    if not isinstance(threading.current_thread(), ConsumerThread):
        return None
    return sum(isinstance(each, WorkerThread) for each in threading.enumerate())
