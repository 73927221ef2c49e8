"""Schedules: when an actor runs by itself, and the scheduler that enqueues each tick exactly once.

Importing this package never connects to anything.
"""

from periodic.declaration import Periodic, Spec, at, cron, every, trigger
from periodic.errors import PeriodicError, ScheduleError, TriggerError
from periodic.options import ScheduleOptions
from periodic.registry import schedules
from periodic.schedule import Schedule
from periodic.tick import Tick

__all__ = [
    "Periodic",
    "PeriodicError",
    "Schedule",
    "ScheduleError",
    "ScheduleOptions",
    "Spec",
    "Tick",
    "TriggerError",
    "at",
    "cron",
    "every",
    "schedules",
    "trigger",
]
