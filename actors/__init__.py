"""Background and scheduled jobs: Dramatiq actors that keep their word, on RabbitMQ or on one file.

Importing this package never connects to anything.
"""

from actors.aborting import Message, abort
from actors.assembly import broker, configure, enqueue_many, in_transaction, settings
from actors.decorator import Actor, actor
from actors.errors import ActorsError
from middleware import (
    Aborted,
    Attempt,
    FailedAttempt,
    NoAttempt,
    Retryable,
    by_status,
    by_type,
    current,
    once_per_failure,
)
from middleware.stores import Abort

__all__ = [
    "Abort",
    "Aborted",
    "Actor",
    "ActorsError",
    "Attempt",
    "FailedAttempt",
    "Message",
    "NoAttempt",
    "Retryable",
    "abort",
    "actor",
    "broker",
    "by_status",
    "by_type",
    "configure",
    "current",
    "enqueue_many",
    "in_transaction",
    "once_per_failure",
    "settings",
]
