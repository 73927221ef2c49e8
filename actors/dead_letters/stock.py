"""How many dead letters there are, since when, and until when."""

from __future__ import annotations

from dataclasses import dataclass

from actors.brokers.buried import Buried
from actors.brokers.dead_queues import DeadQueues

# How many of each queue are looked at. They are the oldest, and so the first to expire.
HEADS = 100
# What expires sooner is warned of, in milliseconds.
SOON_MS = 24 * 3_600_000


@dataclass(frozen=True, slots=True)
class Stock:
    """The dead letters of a logical queue.

    Times are milliseconds since the Unix epoch, and those of the first 100 letters of each physical queue.

    Attributes:
        queue: the logical queue.
        count: how many there are.
        oldest: when the first of them died; None where there is none, or it is not known.
        expires: when RabbitMQ drops the next of them; None for never.
        expiring: the times at which it drops them, of those that it does.
    """

    queue: str
    count: int
    oldest: int | None
    expires: int | None
    expiring: tuple[int, ...] = ()


def stock_of(queues: DeadQueues) -> list[Stock]:
    """Return the stock of each logical queue that has queues of dead letters; nothing changes."""
    heads: dict[str, list[Buried]] = {}
    counts: dict[str, int] = {}
    for queue in queues.existing():
        found = heads.setdefault(queue.queue, [])
        counts[queue.queue] = counts.get(queue.queue, 0) + queue.count
        queues.look_into(queue, found.append, first=HEADS, depth=HEADS)
    return [_stock(name, count, heads[name]) for name, count in counts.items()]


def _stock(queue: str, count: int, heads: list[Buried]) -> Stock:
    oldest = min((buried.letter.died for buried in heads if buried.letter.died), default=None)
    expiring = tuple(sorted(expires for buried in heads if (expires := buried.expires) is not None))
    return Stock(queue, count, oldest, min(expiring, default=None), expiring)
