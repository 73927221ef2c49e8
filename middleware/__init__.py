"""Middleware for Dramatiq, one class a file; each works on any Dramatiq broker."""

from middleware.async_io import AsyncIO
from middleware.attempt import Attempt, NoAttempt, current
from middleware.callbacks import Callbacks
from middleware.group_callbacks import GroupCallbacks
from middleware.guard import Guard
from middleware.idempotency import Idempotency
from middleware.restore_arguments import RestoreArguments
from middleware.results import RecordedResults
from middleware.time_limit import TimeLimit

__all__ = [
    "AsyncIO",
    "Attempt",
    "Callbacks",
    "GroupCallbacks",
    "Guard",
    "Idempotency",
    "NoAttempt",
    "RecordedResults",
    "RestoreArguments",
    "TimeLimit",
    "current",
]
