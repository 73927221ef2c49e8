"""How a delayed message waits: in which hold queue, and until when."""

from __future__ import annotations

import time
from bisect import bisect_right
from dataclasses import dataclass, field

from pika import BasicProperties
from pika.channel import Channel

from actors.brokers.publisher import Publication
from actors.brokers.topology import HOLDS_MS

_DUE, _LOOK, _QUEUE = "due", "look", "queue"


@dataclass(frozen=True, slots=True)
class Hold:
    """How a message waits: in which hold queue, when it is looked at next, and when and where it is due.

    Times are milliseconds since the Unix epoch; *queue* is a logical queue.
    """

    hold_ms: int
    look: int
    due: int
    queue: str

    @classmethod
    def until(cls, due: int, queue: str, *, now: int) -> Hold:
        """Return the hold for a message that is due at *due*: the longest that does not go beyond it."""
        index = bisect_right(HOLDS_MS, due - now)
        if index == 0:
            return cls(HOLDS_MS[0], due, due, queue)
        hold_ms = HOLDS_MS[index - 1]
        return cls(hold_ms, now + hold_ms, due, queue)

    def publication(self, body: bytes, properties: BasicProperties, physical_queue: str) -> Publication:
        """Return what to publish so that *body* waits in *physical_queue*, this hold's queue."""
        headers = {_DUE: self.due, _LOOK: self.look, _QUEUE: self.queue}
        return Publication(physical_queue, body, _with_headers(properties, headers))


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """A delayed message as RabbitMQ delivered it.

    Attributes:
        channel, tag: which delivery this is; it is settled on its own channel, or not at all.
        found_in: the physical queue that it came from.
        arrived: when it came, in seconds by the monotonic clock.
    """

    channel: Channel
    tag: int
    found_in: str
    properties: BasicProperties
    body: bytes
    arrived: float = field(default_factory=time.monotonic)

    @property
    def look(self) -> int:
        """When it is to be looked at next; now, if it does not say."""
        return self._time(_LOOK)

    @property
    def due(self) -> int:
        """When it may run; now, if it does not say."""
        return self._time(_DUE)

    @property
    def queue(self) -> str:
        """The logical queue that it is due in."""
        value = (self.properties.headers or {}).get(_QUEUE)
        return value if isinstance(value, str) and value else "default"

    def in_hold(self, hold: Hold, physical_queue: str) -> Publication:
        """Return what to publish so that it waits in *physical_queue*, the one of *hold*."""
        return hold.publication(self.body, self.properties, physical_queue)

    def released(self, physical_queue: str) -> Publication:
        """Return what to publish so that it runs from *physical_queue*."""
        return Publication(physical_queue, self.body, _with_headers(self.properties, {}))

    def ack(self) -> None:
        """Take it from its queue. That of a closed channel is delivered again, to whoever consumes then."""
        if self.channel.is_open:
            self.channel.basic_ack(self.tag)

    def give_back(self) -> None:
        """Let it be delivered again."""
        if self.channel.is_open:
            self.channel.basic_reject(self.tag)

    def _time(self, header: str) -> int:
        value = (self.properties.headers or {}).get(header)
        return value if isinstance(value, int) else now_ms()


def now_ms() -> int:
    """Return the milliseconds since the Unix epoch."""
    return time.time_ns() // 1_000_000


def _with_headers(properties: BasicProperties, own: dict[str, object]) -> BasicProperties:
    """Return *properties* with *own* in place of an earlier hold's headers, and without RabbitMQ's ``x-`` ones."""
    kept = {
        name: value
        for name, value in (properties.headers or {}).items()
        if name not in (_DUE, _LOOK, _QUEUE) and not name.startswith("x-")
    }
    return BasicProperties(
        content_type=properties.content_type,
        delivery_mode=2,
        headers={**kept, **own} or None,
        message_id=properties.message_id,
        priority=properties.priority,
    )
