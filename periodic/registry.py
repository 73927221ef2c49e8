"""Which schedules there are: what the actors of a broker declare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import dramatiq

from periodic.declaration import ForeignTrigger, Periodic, Spec, trigger
from periodic.errors import ScheduleError
from periodic.options import checked
from periodic.schedule import Schedule

# The option of an actor; once it is declared, a tuple of schedules.
OPTION = "periodic"


def schedules(broker: dramatiq.Broker) -> dict[str, Schedule]:
    """Return the schedules that the actors of *broker* declare, by name.

    Raises:
        ScheduleError: two of them have the same name.
    """
    found: dict[str, Schedule] = {}
    for actor in broker.actors.values():
        for schedule in actor.options.get(OPTION, ()):
            refuse_taken(schedule, found)
            found[schedule.name] = schedule
    return found


def declared(option: Periodic | None, actor: str) -> tuple[Schedule, ...]:
    """Return the schedules that the option ``periodic=`` of *actor* declares.

    One schedule has the actor's name unless it says otherwise; of several each says its own.

    Raises:
        ScheduleError: one of several has no name, two have the same, or a trigger could not work.
    """
    found: dict[str, Schedule] = {}
    for name, spec in _named(option, actor):
        schedule = spec.schedule(name, actor)
        refuse_taken(schedule, found)
        found[name] = schedule
    return tuple(found.values())


def refuse_taken(schedule: Schedule, others: Mapping[str, Schedule]) -> None:
    """Do nothing, if none of *others*, which are by name, has the name of *schedule*.

    Raises:
        ScheduleError: one has.
    """
    other = others.get(schedule.name)
    if other is not None:
        raise ScheduleError(
            f"periodic {schedule.name!r}: the name is taken by a schedule of actor {other.actor!r}; "
            f"give that of actor {schedule.actor!r} another name="
        )


def _named(option: Periodic | None, actor: str) -> list[tuple[str, Spec]]:
    who = f"actor {actor!r}: periodic"
    if isinstance(option, Mapping):
        return [(checked({"name": name}, who)["name"], _spec(each, name, actor)) for name, each in option.items()]
    specs = [_spec(each, None, actor) for each in _several(option)]
    if len(specs) > 1 and not all(spec.name for spec in specs):
        raise ScheduleError(
            f"actor {actor!r}: periodic= has {len(specs)} schedules; give each a name, as in cron(…, name='…') or "
            "periodic={'…': cron(…), …}"
        )
    # An actor's name may be longer than a schedule's.
    return [(checked({"name": spec.name or actor}, who)["name"], spec) for spec in specs]


def _several(option: object) -> Iterable[Any]:
    if option is None:
        return ()
    # A str is a sequence too, and meant as a single mistake.
    return option if isinstance(option, Sequence) and not isinstance(option, str) else (option,)


def _spec(declaration: Spec | ForeignTrigger, name: str | None, actor: str) -> Spec:
    if not isinstance(declaration, Spec):
        # With a name for its errors, which the declaration does not give.
        return replace(trigger(declaration, name=name or actor), name=None)
    own = declaration.name
    if name is not None and own not in {None, name}:
        raise ScheduleError(f"actor {actor!r}: periodic= calls a schedule {name!r} and name={own!r}; remove one")
    return declaration
