"""Does not start what has become too old."""

from __future__ import annotations

import time
from typing import Any, TypeGuard

import dramatiq
from dramatiq.middleware import Middleware, SkipMessage

from middleware.failure import Failure, Reason, give_up
from middleware.options import InvalidPolicy
from middleware.per_actor import PerActor
from middleware.retry_policy import RetryPolicy

# No message is due after this, in milliseconds since the Unix epoch: the year 33658.
LATEST = 10**15


class AgeLimit(Middleware):
    """Dead-letters messages that could have started longer than ``max_age`` ago; in place of Dramatiq's.

    A message that is sent with a delay does not age before it is due.
    """

    def __init__(self) -> None:
        self._policy = PerActor(lambda actor: RetryPolicy.of(actor.options, actor.actor_name), frozenset({"max_age"}))

    @property
    def actor_options(self) -> set[str]:
        """The options that actors and messages have for it."""
        return {"max_age"}

    def before_enqueue(self, broker: dramatiq.Broker, message: dramatiq.Message[Any], delay: int | None) -> None:
        """Note when a message that is sent with a delay can first run."""
        if delay:
            message.options.setdefault("due", _now_ms() + delay)

    def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        """Skip a message that is too old.

        Raises:
            SkipMessage: it is, or nobody can tell; it is marked as failed.
        """
        try:
            max_age_ms = self._max_age_ms(broker, message._message)
        except InvalidPolicy as error:
            give_up(message, Failure.of(error, Reason.UNDECODABLE))
            raise SkipMessage(str(error)) from None
        if not max_age_ms:
            return
        note_due(message)
        age_ms = age_of(message)
        if age_ms >= max_age_ms:
            text = f"message {message.message_id} is {age_ms:,} ms old, and max_age is {max_age_ms:,} ms"
            give_up(message, Failure(Reason.EXPIRED, "Expired", text))
            raise SkipMessage(text)

    def _max_age_ms(self, broker: dramatiq.Broker, message: dramatiq.Message[Any]) -> int | None:
        actor = broker.actors.get(message.actor_name)
        return self._policy(actor, message).max_age_ms if actor is not None else None


def note_due(message: dramatiq.Message[Any] | dramatiq.MessageProxy) -> None:
    """Note that *message*, if it was not sent with a delay, could run at once; before it is enqueued with one."""
    message.options.setdefault("due", message.message_timestamp)


def age_of(message: dramatiq.MessageProxy) -> int:
    """Return for how many milliseconds *message* could have run.

    What is no time is passed over; a message that has none at all is older than any limit.
    """
    due, sent = message.options.get("due"), message._message.message_timestamp
    since = due if _is_time(due) else sent if _is_time(sent) else 0
    return max(0, _now_ms() - int(since))


def _is_time(value: Any) -> TypeGuard[float]:
    return type(value) in (int, float) and 0 <= value < LATEST


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
