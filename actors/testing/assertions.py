"""What a test expects to be enqueued."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import dramatiq

from actors.testing.expectation import Expectation
from actors.testing.messages import EnqueuedMessage
from actors.testing.swap import current

SHOWN = 10


def enqueued(actor: dramatiq.Actor[..., Any] | None = None, *, queue: str | None = None) -> list[EnqueuedMessage]:
    """Return the messages that wait to run, delayed ones too, in the order in which they become due.

    Args:
        actor: only the messages of this actor.
        queue: only those in this queue.

    Raises:
        QueueNotFound: no actor uses *queue*.
    """
    broker = current()
    messages = [broker.describe(entry) for entry in broker.waiting([] if queue is None else [queue])]
    return [message for message in messages if actor is None or message.actor_name == actor.actor_name]


def assert_enqueued(
    actor: dramatiq.Actor[..., Any],
    *,
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    queue: str | None = None,
    delay: timedelta | int | None = None,
    eta: datetime | None = None,
    count: int | None = None,
) -> list[EnqueuedMessage]:
    """Assert that messages of *actor* wait to run.

    Args:
        actor: the actor.
        args: with *kwargs*, the call that the message stands for: ``args=(42,), kwargs={"cents": 999}`` and
            ``args=(42, 999)`` are the same one. When neither is given, any call.
        kwargs: see *args*.
        queue: the queue it waits in.
        delay: how long after its send it may run; an int is milliseconds, 0 is at once.
        eta: when it may run, give or take a second.
        count: how many there are; default one or more.

    Returns:
        Those messages, in the order in which they become due.

    Raises:
        AssertionError: there are none, or not *count*; the text lists what is enqueued instead, closest first.
        ArgumentsError: *args* and *kwargs* do not fit the actor, or *eta* has no time zone.
    """
    __tracebackhide__ = True  # pytest shows the line of the test
    expected = Expectation.of(actor, args, kwargs, queue, delay, eta)
    messages = enqueued()
    found = [message for message in messages if expected.fits(message)]
    if len(found) == count or (count is None and found):
        return found
    if found:
        lines = [f"{expected}: {len(found)} enqueued, not {count}; closest first:"]
    else:
        lines = [f"{expected} is not enqueued; instead, closest first:"]
    lines += map(str, sorted(messages, key=expected.distance)[:SHOWN])
    if len(messages) > SHOWN:
        lines.append(f"and {len(messages) - SHOWN} more")
    raise AssertionError("\n  ".join(lines) if messages else f"{expected} is not enqueued, nor is anything else")


def assert_not_enqueued(
    actor: dramatiq.Actor[..., Any] | None = None,
    *,
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    queue: str | None = None,
    delay: timedelta | int | None = None,
    eta: datetime | None = None,
) -> None:
    """Assert that no message fits; arguments are as for :func:`assert_enqueued`, and no actor is any actor.

    Raises:
        AssertionError: one does; the text lists them.
        ArgumentsError: *args* and *kwargs* do not fit the actor or come without one, or *eta* has no time zone.
    """
    __tracebackhide__ = True  # pytest shows the line of the test
    expected = Expectation.of(actor, args, kwargs, queue, delay, eta)
    found = [message for message in enqueued() if expected.fits(message)]
    if found:
        raise AssertionError("\n  ".join([f"{expected} is enqueued:", *map(str, found)]))
