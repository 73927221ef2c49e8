"""What the loaded actors and the routes say, held against each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

import dramatiq

from actors.checks.finding import Finding, error, ok, warning
from actors.configuration import variable
from actors.errors import ArgumentsError, DeclarationError
from middleware.suggestion import did_you_mean
from periodic.registry import OPTION as PERIODIC

Actors = Mapping[str, dramatiq.Actor[..., Any]]

# RabbitMQ's default consumer_timeout: it takes a message back that is not acked by then.
CONSUMER_TIMEOUT_MS = 1_800_000

_NAMES_AN_ACTOR = ("on_success", "on_failure", "on_retry_exhausted")


def check_actors(actors: Actors, *, on_rabbitmq: bool) -> Iterator[Finding]:
    """Resolve each actor's type hints, and the other actors that its options name.

    Args:
        actors: all that are loaded, by name.
        on_rabbitmq: whether their messages are in RabbitMQ, which takes them back after some time.
    """
    for name, actor in actors.items():
        problems = [*_problems(actor, actors), *(_overtime(actor) if on_rabbitmq else ())]
        yield from problems
        if not problems:
            yield ok("actors", name, f"{actor.fn.__module__}.{actor.fn.__qualname__} on queue {actor.queue_name!r}")


def check_routes(routes: Mapping[str, str], actors: Actors) -> Iterator[Finding]:
    """Say which actors each route takes, if any actors are loaded."""
    for pattern, queue in routes.items() if actors else ():
        taken = [name for name in actors if fnmatchcase(name, pattern)]
        if taken:
            yield ok("routes", pattern, f"to queue {queue!r}: {', '.join(taken)}")
        else:
            what = f"matches no loaded actor{did_you_mean(pattern, actors)}"
            advice = f"correct it in {variable('queue_routes')}, or load the module that declares the actor"
            yield warning("routes", pattern, what, advice)


def _problems(actor: dramatiq.Actor[..., Any], actors: Actors) -> Iterator[Finding]:
    name = actor.actor_name
    parameters = getattr(actor, "parameters", None)
    try:
        # An actor of plain Dramatiq has none.
        _ = parameters is not None and parameters.needs_restore
    except DeclarationError as problem:
        yield error("actors", name, str(problem), "mend the hint; until then every message of this actor fails")
    yield from _misfits(actor)
    for option in _NAMES_AN_ACTOR:
        other = actor.options.get(option)
        if isinstance(other, str) and other not in actors:
            what = f"{option}={other!r} is no loaded actor{did_you_mean(other, actors)}"
            yield error("actors", name, what, "correct the name, or load the module that declares it")


def _overtime(actor: dramatiq.Actor[..., Any]) -> Iterator[Finding]:
    time_limit = actor.options.get("time_limit") or 0
    if time_limit > CONSUMER_TIMEOUT_MS:
        what = f"time_limit={time_limit} ms is beyond RabbitMQ's consumer_timeout, {CONSUMER_TIMEOUT_MS} ms by default"
        advice = "raise consumer_timeout in rabbitmq.conf, or RabbitMQ delivers it twice"
        yield warning("actors", actor.actor_name, what, advice)


def _misfits(actor: dramatiq.Actor[..., Any]) -> Iterator[Finding]:
    """Hold the arguments of its schedules against its type hints, which could not be read when it was declared."""
    for schedule in actor.options.get(PERIODIC, ()):
        try:
            actor.restore(schedule.args, dict(schedule.kwargs))  # type: ignore[attr-defined]  # only ours have schedules
        except ArgumentsError as misfit:
            what = f"schedule {schedule.name!r}: {misfit}"
            yield error("actors", actor.actor_name, what, "correct its args= or kwargs=; until then each tick fails")
        except DeclarationError:
            return  # a hint that can't be read is a finding already
