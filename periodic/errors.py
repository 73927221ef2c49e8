"""Every error that this package raises, under one root."""

from __future__ import annotations


class PeriodicError(Exception):
    """The root of this package's errors."""


class ScheduleError(PeriodicError, ValueError):
    """A schedule is declared in a way that could not work."""


class TriggerError(PeriodicError):
    """A trigger of somebody else's gave an answer that can't be a next time."""
