"""What a scheduler enqueues, as a consumer sees it."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pika.adapters.blocking_connection import BlockingChannel

from services.errors import NotReady

FIRST_WITHIN_S = 120.0


@dataclass(frozen=True)
class Arrival:
    """A message: of which schedule, and when it came, in seconds since the Unix epoch."""

    number: int
    at: float


class Arrivals:
    """The messages of *queue*, which are taken out of it.

    Args:
        number: returns the number of the schedule whose message this is.
    """

    def __init__(self, channel: BlockingChannel, queue: str, number: Callable[[bytes], int]) -> None:
        self._channel = channel
        self._number = number
        self._new: list[tuple[float, bytes]] = []
        channel.basic_consume(queue, lambda _, __, ___, body: self._new.append((time.time(), body)), auto_ack=True)

    def first(self) -> Arrival:
        """Return the first one, once it has come.

        Raises:
            NotReady: it has not within two minutes.
        """
        found = next(self._until(time.time() + FIRST_WITHIN_S), None)
        if found is None:
            raise NotReady(f"no tick was enqueued within {FIRST_WITHIN_S:g} s")
        return found

    def during(self, seconds: float) -> list[Arrival]:
        """Return those that come in the next *seconds*."""
        return list(self._until(time.time() + seconds))

    def _until(self, end: float) -> Iterator[Arrival]:
        while (left := end - time.time()) > 0:
            self._channel.connection.process_data_events(left)
            new, self._new = self._new, []
            yield from (Arrival(self._number(body), at) for at, body in new)
