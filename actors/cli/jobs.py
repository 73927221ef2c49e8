"""Which actor a command means, and its arguments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dramatiq
import typer

from actors.assembly import broker
from actors.cli.arguments import parse_arguments
from middleware.suggestion import did_you_mean


@dataclass(frozen=True, slots=True)
class Job:
    """A call of an actor, with the types that its hints say."""

    actor: dramatiq.Actor[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def find_job(name: str, modules: Sequence[str], args: str, kwargs: str) -> Job:
    """Return the call that the command line asks for; *modules* are loaded already.

    Raises:
        typer.BadParameter: no such actor is loaded, or the arguments are malformed.
        ArgumentsError: they do not fit the actor's signature or its hints.
    """
    actor = _find_actor(name, modules)
    positional, keyword = parse_arguments(args, kwargs)
    parameters = getattr(actor, "parameters", None)
    if parameters is not None:  # an actor of plain Dramatiq has none
        parameters.check(positional, keyword)
        positional, keyword = parameters.restore(positional, keyword)
    return Job(actor, positional, keyword)


def _find_actor(name: str, modules: Sequence[str]) -> dramatiq.Actor[..., Any]:
    if name in broker.actors:
        return broker.actors[name]
    if not modules:
        problem = f"no modules are named, so {name!r} is not known; name its module with -m, or set ACTORS_MODULES"
    else:
        problem = f"{', '.join(modules)} declares no actor {name!r}{did_you_mean(name, broker.actors)}"
    raise typer.BadParameter(problem, param_hint="NAME")
