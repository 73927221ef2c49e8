"""Middleware for Dramatiq, one class a file; each works on any Dramatiq broker."""

from middleware.aborted import Aborted
from middleware.aborts import Aborts
from middleware.age_limit import AgeLimit
from middleware.async_io import AsyncIO
from middleware.attempt import Attempt, NoAttempt, current
from middleware.attempt_log import AttemptLog
from middleware.attempts import Attempts
from middleware.callbacks import Callbacks
from middleware.concurrency import Concurrency
from middleware.dead_letter import DeadLetter
from middleware.ended import Ended
from middleware.group_callbacks import GroupCallbacks
from middleware.guard import Guard
from middleware.idempotency import Idempotency
from middleware.inbox import Entry, Inbox, InboxMisused
from middleware.letter import Letter
from middleware.log_context import LogContext, attempt_fields
from middleware.metrics import Metrics
from middleware.overlap import Overlap
from middleware.predicates import FailedAttempt, Retryable, by_status, by_type
from middleware.recycle import Recycle, RecycleLimits
from middleware.restore_arguments import RestoreArguments
from middleware.results import RecordedResults
from middleware.retries import Retries
from middleware.tick_run import TickRun
from middleware.tick_runs import TickRuns
from middleware.time_limit import TimeLimit
from middleware.tracing import Tracing
from middleware.trackers import once_per_failure

__all__ = [
    "Aborted",
    "Aborts",
    "AgeLimit",
    "AsyncIO",
    "Attempt",
    "AttemptLog",
    "Attempts",
    "Callbacks",
    "Concurrency",
    "DeadLetter",
    "Ended",
    "Entry",
    "FailedAttempt",
    "GroupCallbacks",
    "Guard",
    "Idempotency",
    "Inbox",
    "InboxMisused",
    "Letter",
    "LogContext",
    "Metrics",
    "NoAttempt",
    "Overlap",
    "RecordedResults",
    "Recycle",
    "RecycleLimits",
    "RestoreArguments",
    "Retries",
    "Retryable",
    "TickRun",
    "TickRuns",
    "TimeLimit",
    "Tracing",
    "attempt_fields",
    "by_status",
    "by_type",
    "current",
    "once_per_failure",
]
