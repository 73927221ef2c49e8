"""``actors delayed``: messages that wait until they are due, and an operator's word on them."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer

from actors.assembly import broker
from actors.brokers.delays import PREFETCH
from actors.brokers.peek import DEEPEST
from actors.cli.audit import audit
from actors.cli.exits import ExitStatus
from actors.cli.logs import leave_outages_to_the_error
from actors.cli.modules import load_modules
from actors.cli.options import DEFAULT_TIMEOUT_S, Json, MoreModules, TimeoutS
from actors.cli.records import duration, moment, printable
from actors.cli.render import print_json, print_table
from actors.delayed import DEPTH, Dealt, Delayed, Found, Looked, Page, delayed_messages

app = typer.Typer(
    name="delayed",
    help="Look at delayed messages, cancel them, or run them now.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_HEADINGS = ("message", "actor", "queue", "due", "retries", "bytes")
_HOLD_HEADINGS = ("hold queue", "held for", "messages", "looked at")

Ids = Annotated[list[str], typer.Argument(metavar="ID…", help="Message ids, as list prints them.", show_default=False)]
Depth = Annotated[
    int,
    typer.Option(
        min=1,
        max=DEEPEST,
        metavar="N",
        help="RabbitMQ: how many messages of each hold queue to look at, soonest due first.",
    ),
]


@app.command("list")
def list_delayed(
    queue: Annotated[str | None, typer.Option(metavar="NAME", help="Only messages for this queue.")] = None,
    actor: Annotated[str | None, typer.Option(metavar="NAME", help="Only messages for this actor.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, metavar="N", help="How many to list at most.")] = 100,
    after: Annotated[str, typer.Option(metavar="CURSOR", help="Go on where a page ended, as its last line says.")] = "",
    depth: Depth = DEPTH,
    timeout_s: TimeoutS = DEFAULT_TIMEOUT_S,
    modules: MoreModules = None,
    as_json: Json = False,
) -> None:
    """List delayed messages, the soonest due first, a page at a time.

    In RabbitMQ it looks into each hold queue as deep as --depth says, gives back what it has taken, and asks all relays
    for what they keep; then come the hold queues that hold any, and how far each was looked into. It changes nothing.
    """
    leave_outages_to_the_error()
    load_modules(modules)
    try:
        page = delayed_messages(depth=depth, timeout_s=timeout_s).look(
            queue=queue, actor=actor, limit=limit, after=after
        )
    except ValueError:
        problem = f"{after!r} is no place to go on from; take it from the last line of a page"
        raise typer.BadParameter(problem, param_hint="--after") from None
    now = time.time_ns() // 1_000_000
    _warn(page.looked, page.silent)
    if as_json:
        print_json(_page_as_json(page, now))
        return
    print_table(_HEADINGS, (_row(message, now) for message in page.messages))
    if page.looked:
        typer.echo()
        print_table(_HOLD_HEADINGS, map(_hold_row, page.looked))
    if page.following:
        given = {"--queue": queue, "--actor": actor, "--limit": limit, "--depth": depth, "--after": page.following}
        options = [str(word) for option, value in given.items() if value is not None for word in (option, value)]
        more = [word for module in modules or () for word in ("-m", module)]
        typer.echo(f"\nnext page: {shlex.join(['actors', 'delayed', 'list', *options, *more])}")


@app.command()
def cancel(
    ids: Ids,
    depth: Depth = DEPTH,
    timeout_s: TimeoutS = DEFAULT_TIMEOUT_S,
    modules: MoreModules = None,
    as_json: Json = False,
) -> None:
    """Drop delayed messages, so that they do not run.

    Prints a line for an audit on stderr for each. It ends with status 1 if one is not found.
    """
    leave_outages_to_the_error()
    load_modules(modules)
    dealt = delayed_messages(depth=depth, timeout_s=timeout_s).cancel(ids, lambda found: _note("cancel", found))
    _report("cancelled", dealt, depth, as_json=as_json)


@app.command("run-now")
def run_now(
    ids: Ids,
    depth: Depth = DEPTH,
    timeout_s: TimeoutS = DEFAULT_TIMEOUT_S,
    modules: MoreModules = None,
    as_json: Json = False,
) -> None:
    """Put delayed messages into their queues now.

    A retry's key is freed for it. Prints a line for an audit on stderr for each. It ends with status 1 if one is not
    found, or could not be moved.
    """
    leave_outages_to_the_error()
    load_modules(modules)
    dealt = delayed_messages(depth=depth, timeout_s=timeout_s).run_now(ids, lambda found: _note("run-now", found))
    _report("released", dealt, depth, as_json=as_json)


def _note(operation: str, found: Found) -> None:
    """Leave a line on what happened to a message."""
    message = found.message
    audit(
        operation=operation,
        outcome="done" if found.problem is None else "failed",
        message_id=message.message_id,
        actor=message.actor,
        queue=message.queue,
        due=_moment(message.due),
        retries=message.retries,
    )


def _report(done: str, dealt: Dealt, depth: int, *, as_json: bool) -> None:
    """Say what became of the messages that were named; the command ends with FAILED if it is not what was asked."""
    now = time.time_ns() // 1_000_000
    succeeded = [found.message for found in dealt.found if found.problem is None]
    failed = [found for found in dealt.found if found.problem is not None]
    if as_json:
        print_json(
            {
                done: [_as_json(message) for message in succeeded],
                "failed": [_as_json(found.message) | {"problem": found.problem} for found in failed],
                "missing": list(dealt.missing),
                "silent_relays": dealt.silent,
            }
        )
    else:
        for message in succeeded:
            typer.echo(f"{done} {printable(message.message_id)} of {_actor(message)}, due {_due(message, now)}")
    for found in failed:
        typer.echo(f"Error: {found.message.message_id!r} still waits: {found.problem}", err=True)
    if dealt.missing:
        typer.echo(_not_found(dealt, depth), err=True)
    if failed or dealt.missing:
        raise typer.Exit(ExitStatus.FAILED)


def _not_found(dealt: Dealt, depth: int) -> str:
    ids = ", ".join(map(repr, dealt.missing))
    why = ["due already", "cancelled before", "mistyped"]
    if deeper := [each.hold_queue for each in dealt.looked if each.left]:
        queues = ", ".join(deeper)
        why.append(f"behind the first {depth:,} messages of {queues} (give a higher --depth)")
    if dealt.silent:
        why.append(f"kept by one of {_relays(dealt.silent)} that did not answer (try again, or upgrade its worker)")
    where = broker.engine.where
    return f"Error: {ids}: not among the delayed messages of {where}. It may be {', '.join(why[:-1])} or {why[-1]}."


def _warn(looked: Sequence[Looked], silent: int) -> None:
    for each in looked:
        if each.left:
            more = f"looked at {each.seen:,} of {each.seen + each.left:,} in {each.hold_queue}; for more give --depth"
            typer.echo(f"Warning: {more}", err=True)
    if silent:
        what = f"what is kept there, up to {PREFETCH} messages of each hold queue, is not shown"
        typer.echo(f"Warning: {_relays(silent)} did not answer in time; {what}", err=True)


def _relays(number: int) -> str:
    return f"{number} relay{'s' if number > 1 else ''}"


def _page_as_json(page: Page, now: int) -> dict[str, Any]:
    return {
        "now": moment(now),
        "delayed": [_as_json(message) for message in page.messages],
        "holds": [_hold_as_json(each) for each in page.looked],
        "silent_relays": page.silent,
        "next": page.following or None,
    }


def _as_json(message: Delayed) -> dict[str, Any]:
    return asdict(message) | {"due": _moment(message.due), "hold_queue": message.hold_queue or None}


def _hold_as_json(looked: Looked) -> dict[str, Any]:
    return {
        "hold_queue": looked.hold_queue,
        "hold_ms": looked.hold_ms,
        "messages": looked.seen + looked.left,
        "looked_at": looked.seen,
    }


def _row(message: Delayed, now: int) -> tuple[str, ...]:
    named = (printable(message.message_id) or "-", _actor(message), printable(message.queue))
    return *named, _due(message, now), str(message.retries or "-"), f"{message.size:,}"


def _hold_row(looked: Looked) -> tuple[str, ...]:
    return looked.hold_queue, duration(looked.hold_ms), f"{looked.seen + looked.left:,}", f"{looked.seen:,}"


def _actor(message: Delayed) -> str:
    return printable(message.actor) if message.actor is not None else "(can't be decoded)"


def _due(message: Delayed, now: int) -> str:
    left = message.due - now
    return f"{_moment(message.due)} ({f'in {duration(left)}' if left > 0 else f'for {duration(-left)}'})"


def _moment(due: int) -> str:
    try:
        return moment(due)
    except (OverflowError, ValueError):  # beyond the year 9999, as from a sender that counts in another unit
        return f"{due} ms after 1970"
