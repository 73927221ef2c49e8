"""Background and scheduled jobs: Dramatiq actors on RabbitMQ that keep their word.

Importing this package never connects to anything.
"""

from actors.assembly import broker, configure, enqueue_many, settings
from actors.decorator import Actor, actor
from actors.errors import ActorsError
from middleware import Attempt, NoAttempt, current

__all__ = [
    "Actor",
    "ActorsError",
    "Attempt",
    "NoAttempt",
    "actor",
    "broker",
    "configure",
    "current",
    "enqueue_many",
    "settings",
]
