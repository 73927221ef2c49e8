"""Messages as they lie in their queue, and what is said of those that could not be put there."""

from __future__ import annotations

from collections.abc import Sequence

from actors.brokers.outgoing import Outgoing
from actors.brokers.sqlite.queues import Queued
from actors.errors import EnqueueError, NotEncodable
from middleware.letter import now_ms

# The largest integer that SQLite has.
_LARGEST = 2**63 - 1


def queued(outgoing: Outgoing) -> Queued:
    """Return *outgoing* as it lies in its queue.

    Raises:
        NotEncodable: it can't.
    """
    message, now = outgoing.message, now_ms()
    priority, due = message.options.get("broker_priority") or 0, outgoing.due or 0
    if type(priority) is not int or not -_LARGEST <= priority <= _LARGEST:
        raise NotEncodable(f"message {message.message_id}: broker_priority {priority!r} is no integer of 64 bits")
    if due > _LARGEST:
        raise NotEncodable(f"message {message.message_id}: its delay of {outgoing.delay} ms is too long")
    names = (message.queue_name, message.message_id, message.actor_name)
    try:
        "".join(names).encode()
    except (TypeError, UnicodeEncodeError) as error:
        raise NotEncodable(f"message {message.message_id!r}: its id and names must be text: {error}") from error
    return Queued(*names, outgoing.body, sent=now, priority=priority, available=due if due > now else 0)


def refusal(outgoing: Sequence[Outgoing], error: Exception, *, maybe_enqueued: bool) -> EnqueueError:
    """Return what to raise where none of *outgoing* are known to be written because of *error*."""
    messages = [each.message for each in outgoing]
    what = f"message {messages[0].message_id} of actor {messages[0].actor_name!r}"
    if len(messages) > 1:
        what = f"{len(messages)} messages, the first of them {what},"
    known = "may be in the queue all the same" if maybe_enqueued else "is not in the queue"
    return EnqueueError(f"{what} not written: {error}; it {known}", unconfirmed=messages, maybe_enqueued=maybe_enqueued)
