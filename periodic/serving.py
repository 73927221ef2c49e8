"""The outer loop of a replica, wherever its ledger is: it serves, and after a failure it serves again."""

from __future__ import annotations

import logging
import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from periodic.errors import PeriodicError
from periodic.outlook import Outlook
from periodic.schedule import Schedule
from periodic.status import Role, Status
from periodic.takeover import MustNotLead, Replica

log = logging.getLogger(__name__)

FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 0.1, 2.0
STABLE_AFTER_S = 5.0
QUIET_FOR_S = 30.0
# How soon one that must not lead looks again whether it may.
LOOK_AGAIN_S = 5.0
# How long the longest sleep is: a clock that is set is noticed so soon.
LONGEST_SLEEP_S = 1.0

# Of our own: an application may have seeded the common one.
system_random = random.SystemRandom()


def utc_now() -> datetime:
    """Return the time of this machine's clock."""
    return datetime.now(UTC)


class Serving(ABC):
    """One replica. Any number may run: one leads, and another goes on when it ends.

    Args:
        replica: who this is.
        status: what there is to tell.
        clock: what time it is.
        failures: what may befall it, beside :class:`OSError` and this package's errors, without being its end.

    Attributes:
        status: what there is to tell, for any thread.
    """

    def __init__(
        self,
        replica: Replica,
        status: Status,
        clock: Callable[[], datetime],
        failures: tuple[type[Exception], ...],
    ) -> None:
        self.status = status
        self._replica = replica
        _ = replica.timings  # found out now, and not in each failover
        self._outlook = Outlook(replica.schedules.values(), clock())
        self._clock = clock
        self._expected: tuple[type[Exception], ...] = (*failures, OSError, PeriodicError)
        self._stopping = threading.Event()
        self._failures = 0
        self._warned_at = float("-inf")

    @property
    def schedules(self) -> Mapping[str, Schedule]:
        """Those of this replica's code, by name."""
        return self._replica.schedules

    def run(self) -> None:
        """Do its part until :meth:`stop`, or an exception that a signal's handler raises; then let another lead."""
        while not self._stopping.is_set():
            started = time.monotonic()
            try:
                self._serve()
            except MustNotLead as error:
                self._report(Role.REFUSING, str(error), LOOK_AGAIN_S)
            except self._expected as error:
                if time.monotonic() - started > STABLE_AFTER_S:
                    self._failures = 0
                pause_s = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2.0**self._failures)
                self._failures = min(self._failures + 1, 16)
                self._report(Role.CONNECTING, explain(error), pause_s * system_random.uniform(0.5, 1.0))

    def stop(self) -> None:
        """Let :meth:`run` return; from any thread."""
        self._stopping.set()

    @abstractmethod
    def _serve(self) -> None:
        """Stand by and lead, once; whatever ends it, this replica no longer leads then."""

    def _report(self, role: Role, problem: str, pause_s: float) -> None:
        """Log the first of a row of failures, then one each half minute, and wait."""
        is_same = problem == self.status.problem
        self.status.enter(role, self._clock(), problem)
        if not is_same or time.monotonic() - self._warned_at > QUIET_FOR_S:
            self._warned_at = time.monotonic()
            log.warning("%s: %s: %s", self._replica.name, role, problem)
        self._stopping.wait(pause_s)


def sleep_s(turn: datetime | None, now: datetime) -> float:
    """Return how long there is nothing to do before *turn*, in seconds, but no longer than one may sleep."""
    return LONGEST_SLEEP_S if turn is None else max(0.0, min(LONGEST_SLEEP_S, (turn - now).total_seconds()))


def explain(error: BaseException) -> str:
    """Return what went wrong, in a line; of an error of pika's that wraps another, what that one says."""
    cause = getattr(error, "exception", None) or next(iter(getattr(error, "exceptions", ())), None)
    if isinstance(cause, BaseException):
        return explain(cause)
    text = getattr(error, "reply_text", None) or str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
