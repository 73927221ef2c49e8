"""``actors dead list`` and ``actors dead show``."""

from __future__ import annotations

import json
from typing import Annotated, Any

import dramatiq
import typer
from dramatiq.errors import DecodeError

from actors.cli.dead import words
from actors.cli.dead.selecting import (
    Actors,
    Chosen,
    ErrorTypes,
    Fingerprints,
    Queues,
    Reasons,
    Since,
    Until,
    choose,
    command,
)
from actors.cli.exits import ExitStatus
from actors.cli.options import DEFAULT_TIMEOUT_S, Json, MoreModules, TimeoutS
from actors.cli.records import duration, moment, printable
from actors.cli.render import print_json, print_table
from actors.dead_letters import Buried, Dead, Looked
from actors.dead_letters.stock import SOON_MS
from middleware.trail import trail_of

DEPTH = 100_000

Depth = Annotated[
    int, typer.Option(min=1, metavar="N", help="How many letters of each queue to look at, at most; the oldest first.")
]


def list_dead(
    queue: Queues = None,
    actor: Actors = None,
    reason: Reasons = None,
    error: ErrorTypes = None,
    fingerprint: Fingerprints = None,
    since: Since = None,
    until: Until = None,
    groups: Annotated[bool, typer.Option("--groups", help="Count them by their error, in place of a list.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1_000, metavar="N", help="How many to list at most.")] = 50,
    after: Annotated[str, typer.Option(metavar="CURSOR", help="Go on where a page ended, as its last line says.")] = "",
    depth: Depth = DEPTH,
    timeout_s: TimeoutS = DEFAULT_TIMEOUT_S,
    modules: MoreModules = None,
    as_json: Json = False,
) -> None:
    """List dead letters, queue by queue, the oldest first, a page at a time; or count them by their error.

    It changes nothing: what it takes of a queue of RabbitMQ it gives back, to its place.
    """
    chosen = choose(
        modules=modules,
        timeout_s=timeout_s,
        queues=queue,
        actors=actor,
        reasons=reason,
        errors=error,
        fingerprints=fingerprint,
        since=since,
        until=until,
    )
    if groups:
        _list_groups(chosen, depth, as_json=as_json)
    else:
        _list_page(chosen, limit, after, depth, as_json=as_json)


def show(
    name: Annotated[str, typer.Argument(metavar="ID", help="The id of a letter, or of a message.")],
    queue: Queues = None,
    timeout_s: TimeoutS = DEFAULT_TIMEOUT_S,
    modules: MoreModules = None,
    as_json: Json = False,
) -> None:
    """Show all that is known of a dead letter: its message, what each attempt died of, and the last traceback.

    It changes nothing. It ends with status 1 if there is none.
    """
    chosen = choose(modules=modules, timeout_s=timeout_s, queues=queue)
    found = chosen.letters.find(name, queues=chosen.selection.queues)
    if not found:
        typer.echo(f"Error: no dead letter has the id {name!r}, and none is of a message with it", err=True)
        raise typer.Exit(ExitStatus.FAILED)
    if as_json:
        print_json({"now": moment(words.now()), "letters": [_whole_as_json(buried) for buried in found]})
        return
    for number, buried in enumerate(found):
        if number:
            typer.echo("\n")
        _print_whole(buried)


def _list_page(chosen: Chosen, limit: int, after: str, depth: int, *, as_json: bool) -> None:
    try:
        page = chosen.letters.look(chosen.selection, limit=limit, after=after, depth=depth)
    except ValueError:
        problem = f"{after!r} is no place to go on from; take it from the last line of a page"
        raise typer.BadParameter(problem, param_hint="--after") from None
    now = words.now()
    is_short = len(page.letters) < limit
    for looked in page.looked:
        if is_short and looked.left and looked.seen >= depth:
            _warn_of_depth(looked)
    if soon := [dead for dead in page.letters if dead.expires is not None and dead.expires - now < SOON_MS]:
        first = min(dead.expires or 0 for dead in soon)
        what = f"{len(soon)} of these expire within 24 hours, the first in {duration(first - now)}"
        typer.echo(f"Warning: {what}; replay them, or keep them with actors dead export", err=True)
    if as_json:
        print_json(
            {
                "now": moment(now),
                "letters": [words.as_json(dead) for dead in page.letters],
                "queues": [words.looked_as_json(looked) for looked in page.looked],
                "next": page.following or None,
            }
        )
        return
    print_table(words.HEADINGS, (words.row(dead, now) for dead in page.letters))
    for looked in page.looked:
        if looked.seen + looked.left:
            typer.echo(f"\n{looked.found_in}: {looked.seen + looked.left:,} dead letters", nl=False)
    if any(looked.seen + looked.left for looked in page.looked):
        typer.echo()
    if page.following:
        typer.echo(f"\nnext page: {command('list', chosen, limit=limit, depth=depth, after=page.following)}")


def _list_groups(chosen: Chosen, depth: int, *, as_json: bool) -> None:
    found = chosen.letters.groups(chosen.selection, depth=depth)
    now = words.now()
    for looked in found.looked:
        if looked.left:
            _warn_of_depth(looked)
    if as_json:
        queues = [words.looked_as_json(looked) for looked in found.looked]
        print_json({"now": moment(now), **words.groups_as_json(found), "queues": queues})
        return
    print_table(words.GROUP_HEADINGS, (words.group_row(group, now) for group in found.groups))
    if found.others:
        typer.echo(f"\n{found.others:,} more letters are of further groups")


def _warn_of_depth(looked: Looked) -> None:
    more = f"looked at {looked.seen:,} of {looked.seen + looked.left:,} in {looked.found_in}; for more give --depth"
    typer.echo(f"Warning: {more}", err=True)


def _print_whole(buried: Buried) -> None:
    now = words.now()
    print_table(("field", "value"), words.details(Dead.of(buried), now))
    message = _message(buried)
    if message is None:
        typer.echo(f"\nThe body can't be decoded:\n{buried.body[:2_000]!r}")
        return
    args = [*map(_json, message.args), *(f"{name}={_json(value)}" for name, value in message.kwargs.items())]
    typer.echo(f"\n{printable(message.actor_name)}({', '.join(args)})")
    for attempt in trail_of(message):
        typer.echo(f"  attempt {_json(attempt)}")
    if traceback := message.options.get("traceback"):
        typer.echo("\n" + "\n".join(printable(line) for line in str(traceback).splitlines()))


def _whole_as_json(buried: Buried) -> dict[str, Any]:
    message = _message(buried)
    return words.as_json(Dead.of(buried)) | {
        "message": message.asdict() if message is not None else None,
        "body": None if message is not None else repr(buried.body),
    }


def _message(buried: Buried) -> dramatiq.Message[Any] | None:
    try:
        return dramatiq.Message.decode(buried.body)
    except DecodeError:
        return None


def _json(value: object) -> str:
    return json.dumps(value, default=str)
