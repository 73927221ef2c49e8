"""The options that an actor may have, and each of its messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dramatiq

from middleware.concurrency_policy import ConcurrencyOptions
from middleware.policy import PolicyOptions
from middleware.predicates import Predicate
from middleware.retry_policy import RetryOptions
from periodic import Periodic


class SharedOptions(PolicyOptions, RetryOptions, total=False):
    """Options that an actor may have, and each of its messages otherwise.

    Those of ``PolicyOptions`` and ``RetryOptions``, and these.

    Attributes:
        time_limit: milliseconds after which an attempt is interrupted.
        on_retry_exhausted: the name of an actor that is sent a message which its limits or its predicate give up.
        notify_shutdown: whether an attempt is interrupted when its worker stops.
        pipe_ignore: whether a pipeline keeps the result of the message before from this one.
    """

    time_limit: float
    on_retry_exhausted: str
    notify_shutdown: bool
    pipe_ignore: bool


class MessageOptions(SharedOptions, total=False):
    """Options of a single message: those of :class:`SharedOptions`, in place of its actor's, and these.

    Attributes:
        on_success, on_failure: an actor, or its name, that is sent the outcome.
        idempotency_key: the key itself, not a template; messages that have the same one run once.
        broker_priority: for queues with ``ACTORS_QUEUE_MAX_PRIORITY``; higher goes first.
    """

    on_success: dramatiq.Actor[..., Any] | str
    on_failure: dramatiq.Actor[..., Any] | str
    idempotency_key: str
    broker_priority: int


class ActorOptions(SharedOptions, ConcurrencyOptions, total=False):
    """Options of an actor: those of :class:`SharedOptions` and ``ConcurrencyOptions``, and these.

    Attributes:
        retry_when: called with the number of retries so far and the error; returns True or False, a timedelta to be
            tried again after it, or None for what the other options say. Or a ``Retryable``, such as
            ``by_type(ConnectionError) | by_status(429, 503)``. The limits hold whatever it says.
        throws: errors that are expected, and never retried.
        on_success, on_failure: the name of an actor that is sent the outcome.
        idempotency_key: a format string over the arguments, such as ``"charge:{order_id}"``, or a function that
            takes the same arguments and returns the key; messages that have the same one run once. Default the
            message id, so that copies of one message run once.
        periodic: when it runs by itself: ``cron("0 9 * * 1-5", timezone="Asia/Shanghai")``, ``every(minutes=5)``,
            ``at(…)``, or a trigger of APScheduler's; or several, each with a name. A tick's key is its own.
    """

    retry_when: Predicate | None
    throws: type[BaseException] | tuple[type[BaseException], ...]
    on_success: str
    on_failure: str
    idempotency_key: str | Callable[..., str]
    periodic: Periodic | None
