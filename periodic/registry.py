"""Which schedules there are: what the actors of a broker declare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import dramatiq

from periodic.declaration import ForeignTrigger, Periodic, Spec, trigger
from periodic.errors import ScheduleError
from periodic.options import checked
from periodic.schedule import Schedule

# The option of an actor; once it is declared, a tuple of schedules.
OPTION = "periodic"

# The actors that were the last to declare schedules, by the names of these: to ask all actors for each name would take
# a minute with ten thousand of them. One whose declaration has failed may be among them.
_declaring: WeakKeyDictionary[dramatiq.Broker, dict[str, str]] = WeakKeyDictionary()


def schedules(broker: dramatiq.Broker) -> dict[str, Schedule]:
    """Return the schedules that the actors of *broker* declare, by name.

    Raises:
        ScheduleError: two of them have the same name.
    """
    found: dict[str, Schedule] = {}
    for actor in broker.actors.values():
        for schedule in actor.options.get(OPTION, ()):
            _refuse_taken(schedule, found)
            found[schedule.name] = schedule
    return found


def claim(names: Iterable[str], actor: str, broker: dramatiq.Broker) -> None:
    """Note that the schedules of *actor*, which is about to be declared on *broker*, have *names*.

    Raises:
        ScheduleError: a schedule of another actor has one of them.
    """
    owners = _declaring.setdefault(broker, {})
    for name in names:
        owner = broker.actors.get(owners.get(name, ""))
        if owner is not None:
            for other in owner.options.get(OPTION, ()):
                if other.name == name:
                    raise _taken(name, other.actor, actor)
        owners[name] = actor


def declared(option: Periodic | None, actor: str) -> tuple[Schedule, ...]:
    """Return the schedules that the option ``periodic=`` of *actor* declares.

    One schedule has the actor's name unless it says otherwise; of several each says its own.

    Raises:
        ScheduleError: one of several has no name, two have the same, or a trigger could not work.
    """
    found: dict[str, Schedule] = {}
    for name, spec in _named(option, actor):
        schedule = spec.schedule(name, actor)
        _refuse_taken(schedule, found)
        found[name] = schedule
    return tuple(found.values())


def _refuse_taken(schedule: Schedule, others: Mapping[str, Schedule]) -> None:
    other = others.get(schedule.name)
    if other is not None:
        raise _taken(schedule.name, other.actor, schedule.actor)


def _taken(name: str, owner: str, actor: str) -> ScheduleError:
    return ScheduleError(
        f"periodic {name!r}: the name is taken by a schedule of actor {owner!r}; "
        f"give that of actor {actor!r} another name="
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
