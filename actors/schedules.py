"""The actor option ``periodic=``: schedules whose messages the actor can run."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import dramatiq

from actors.arguments import Parameters
from actors.configuration import QUEUE_NAME
from actors.encoding import dumps
from actors.errors import ArgumentsError, DeclarationError
from actors.json_forms import Refused
from periodic.errors import ScheduleError
from periodic.registry import claim, declared
from periodic.schedule import Schedule


def schedules_of(option: Any, actor_name: str, parameters: Parameters, broker: dramatiq.Broker) -> tuple[Schedule, ...]:
    """Return the schedules that ``periodic=`` declares, with their arguments as JSON has them.

    Raises:
        DeclarationError: one could not work: its name is taken, or its arguments do not fit the function, or can't
            travel.
    """
    try:
        found = declared(option, actor_name)
        claim([schedule.name for schedule in found], actor_name, broker)
    except ScheduleError as invalid:
        raise DeclarationError(str(invalid)) from None
    return tuple(as_sent(schedule, parameters) for schedule in found)


def as_sent(schedule: Schedule, parameters: Parameters) -> Schedule:
    """Return *schedule* with its arguments as JSON has them.

    Raises:
        DeclarationError: they do not fit the function, or can't travel, or its queue can't be one.
    """
    who = f"periodic {schedule.name!r}"
    if schedule.queue is not None and not re.fullmatch(QUEUE_NAME, schedule.queue):
        raise DeclarationError(
            f"{who}: queue={schedule.queue!r} must start with a letter or an underscore, "
            "and go on with letters, digits, dots, dashes or underscores"
        )
    try:
        parameters.check(schedule.args, schedule.kwargs)
        # Each tick is to send the same, whatever becomes of a list or a dict that the application keeps.
        sent = json.loads(dumps({"args": schedule.args, "kwargs": schedule.kwargs}))
    except (ArgumentsError, Refused) as unfit:
        raise DeclarationError(f"{who}: {unfit}") from None
    return replace(schedule, args=tuple(sent["args"]), kwargs=sent["kwargs"])
