"""Options that say which dead letters are meant."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import typer

from actors.assembly import broker, settings
from actors.cli.arguments import parse_delay
from actors.cli.logs import leave_outages_to_the_error
from actors.cli.modules import load_modules
from actors.dead_letters import DeadLetters, Selection, dead_letters
from middleware.failure import Reason
from middleware.suggestion import did_you_mean

UNSAID = "none"

Ids = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ID]…", help="Ids of letters or of messages; by default all.", show_default=False),
]
Queues = Annotated[
    list[str] | None,
    typer.Option("--queue", metavar="NAME", help="Of this queue; repeatable. Default: all queues of the modules."),
]
Actors = Annotated[list[str] | None, typer.Option("--actor", metavar="NAME", help="Of this actor; repeatable.")]
Reasons = Annotated[
    list[str] | None,
    typer.Option("--reason", metavar="REASON", help=f"With this reason: {', '.join(Reason)}, {UNSAID}; repeatable."),
]
ErrorTypes = Annotated[
    list[str] | None,
    typer.Option("--error", metavar="TYPE", help="Of this type of error, such as ValueError; repeatable."),
]
Fingerprints = Annotated[
    list[str] | None,
    typer.Option("--fingerprint", metavar="HEX", help="Of this error, as list --groups prints it; repeatable."),
]
Since = Annotated[
    str | None,
    typer.Option("--since", metavar="TIME", help="That died then or later: ISO 8601 with a time zone, or 2h for ago."),
]
Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="That died before then.")]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The dead letters of the application, and which of them a command means.

    Attributes:
        letters: all.
        selection: which are meant.
        options: what the command line had for that, to repeat it.
    """

    letters: DeadLetters
    selection: Selection
    options: Sequence[str]


def choose(
    *,
    modules: list[str] | None,
    timeout_s: float,
    ids: list[str] | None = None,
    queues: list[str] | None = None,
    actors: list[str] | None = None,
    reasons: list[str] | None = None,
    errors: list[str] | None = None,
    fingerprints: list[str] | None = None,
    since: str | None = None,
    until: str | None = None,
) -> Chosen:
    """Load the modules, and return what the command line means.

    Raises:
        typer.BadParameter: an option is malformed, or nothing says which queues there are.
    """
    leave_outages_to_the_error()
    named = load_modules(modules)
    if not queues and not broker.actors and not settings().queue_routes:
        which = f"{', '.join(named)} declares no actor" if named else "no modules are named"
        problem = f"{which}, so no queue is known; name a module with -m, set ACTORS_MODULES, or give --queue"
        raise typer.BadParameter(problem, param_hint="--queue")
    selection = Selection(
        ids=frozenset(ids or ()),
        queues=frozenset(queues or ()),
        actors=frozenset(actors or ()),
        reasons=frozenset(map(_reason, reasons or ())),
        error_types=frozenset(errors or ()),
        fingerprints=frozenset(fingerprints or ()),
        since=_moment("--since", since),
        until=_moment("--until", until),
    )
    given: dict[str, Sequence[str]] = {
        "--queue": queues or (),
        "--actor": actors or (),
        "--reason": reasons or (),
        "--error": errors or (),
        "--fingerprint": fingerprints or (),
        "--since": [since] if since else (),
        "--until": [until] if until else (),
        "-m": modules or (),
    }
    options = [word for option, values in given.items() for value in values for word in (option, value)]
    return Chosen(dead_letters(*(queues or ()), timeout_s=timeout_s), selection, [*(ids or ()), *options])


def command(name: str, chosen: Chosen, **options: object) -> str:
    """Return the command *name* on what is chosen, for people to copy."""
    words = [str(word) for option, value in options.items() for word in (f"--{option}", value)]
    return shlex.join(["actors", "dead", name, *chosen.options, *words])


def _reason(text: str) -> str:
    if text == UNSAID:
        return ""
    if text not in list(Reason):
        problem = f"there is no reason {text!r}{did_you_mean(text, Reason)}; there are {', '.join(Reason)}, {UNSAID}"
        raise typer.BadParameter(problem, param_hint="--reason")
    return text


def _moment(option: str, text: str | None) -> int | None:
    """Return the time that *text* names, in milliseconds since the Unix epoch."""
    if text is None:
        return None
    try:
        return time.time_ns() // 1_000_000 - (parse_delay(text, None, now=datetime.now(UTC)) or 0)
    except typer.BadParameter:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        problem = f"{text!r} is no time; write 2h for two hours ago, or 2026-03-01T09:00:00+08:00"
        raise typer.BadParameter(problem, param_hint=option) from None
    if moment.utcoffset() is None:
        problem = f"{text!r} has no time zone; write {moment.isoformat()}Z for UTC, or its offset"
        raise typer.BadParameter(problem, param_hint=option)
    return int(moment.timestamp() * 1000)
