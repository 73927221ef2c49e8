"""``actors events``."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from actors.assembly import fleet
from actors.cli.lasting import Wait, until_told
from actors.cli.options import Json
from actors.cli.records import moment, printable
from actors.cli.store import store_needed
from actors.dev.view import took_in_words
from actors.fleet.following import LEFT_OUT, Event, Filter, Following, decoded
from actors.fleet.life import STARTED, STOPPED
from actors.fleet.protocol import MOST_EVENTS
from middleware.stores import StoreUnavailable

# How often it is looked for more, and how long processes may take to notice that somebody follows; in seconds.
LOOK_EVERY_S, NOTICE_WITHIN_S = 0.2, 3.0


class Outcome(StrEnum):
    """How an attempt may end."""

    DONE = "done"
    RETRIED = "retried"
    DEAD = "dead"
    LATER = "later"
    DUPLICATE = "duplicate"
    ABORTED = "aborted"
    REQUEUED = "requeued"
    SKIPPED = "skipped"


def events(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on, until Ctrl-C.")] = False,
    actor: Annotated[
        list[str] | None, typer.Option("--actor", metavar="NAME", help="Of this actor; repeatable.")
    ] = None,
    queue: Annotated[
        list[str] | None, typer.Option("--queue", metavar="NAME", help="Of this queue; repeatable.")
    ] = None,
    outcome: Annotated[list[Outcome] | None, typer.Option("--outcome", help="That ended so; repeatable.")] = None,
    limit: Annotated[
        int, typer.Option(min=1, max=MOST_EVENTS, metavar="N", help="Without --follow: how many to show at most.")
    ] = 100,
    as_json: Json = False,
) -> None:
    """Show how attempts end, as it happens: an event a line, with --json a JSON object a line.

    Workers publish events only while somebody follows, so that they cost nothing otherwise. Without --follow it shows
    the newest of those that were published, of which 10,000 are kept. A worker tells of a thousand a second at most,
    and never waits for who reads them: how many are left out is said in their place.
    """
    wanted = Filter(actor or (), queue or (), [each.value for each in outcome or ()])
    with store_needed(), until_told() as wait:
        if follow:
            _follow(wanted, wait, as_json=as_json)
        else:
            _show_newest(wanted, limit, as_json=as_json)


def _show_newest(wanted: Filter, limit: int, *, as_json: bool) -> None:
    found, _ = fleet().newest(MOST_EVENTS)
    if not found:
        typer.echo("no events are kept: they are published only while somebody follows; add --follow", err=True)
    _print([event for event in decoded(found) if wanted.admits(event)][-limit:], as_json=as_json)


def _follow(wanted: Filter, wait: Wait, *, as_json: bool) -> None:
    following = Following(fleet(), time.monotonic)
    notice_until_s, is_failing = time.monotonic() + NOTICE_WITHIN_S, False
    while True:
        try:
            found = following.look()
            if notice_until_s and _is_noticed(following, is_late=time.monotonic() >= notice_until_s):
                notice_until_s = 0.0
            is_failing = False
        except StoreUnavailable as error:
            if not is_failing:
                typer.echo(f"Warning: {error}; trying again", err=True)
            is_failing, found = True, []
        _print(filter(wanted.admits, found), as_json=as_json)
        if wait(LOOK_EVERY_S if not found else 0.0):
            return


def _is_noticed(following: Following, *, is_late: bool) -> bool:
    """Say who is followed once all publish; return whether that is said."""
    publishing, there = following.publishers()
    if publishing < there and not is_late:
        return False
    silent = f"; {there - publishing} more have not noticed yet" if publishing < there else ""
    workers = f"{publishing} worker{'' if publishing == 1 else 's'}"
    typer.echo(f"following {workers}{silent}, until Ctrl-C", err=True)
    return True


def _print(events: Iterable[Event], *, as_json: bool) -> None:
    for event in events:
        typer.echo(json.dumps(_as_json(event)) if as_json else _in_words(event))
    sys.stdout.flush()


def _as_json(event: Event) -> Mapping[str, Any]:
    """Return *event* with the fields that the log line of an attempt has."""
    at = event.get("at")
    told = {name: value for name, value in event.items() if name not in ("event", "at", "member", "number")}
    return {"event": event["event"], "timestamp": moment(at) if isinstance(at, int) else None, **told}


def _in_words(event: Event) -> str:
    at = event.get("at")
    clock = datetime.fromtimestamp(at / 1_000).astimezone().strftime("%H:%M:%S") if isinstance(at, int) else "--:--:--"
    fraction = f".{at % 1_000:03d}" if isinstance(at, int) else ""
    return f"{clock}{fraction}  {_told(event)}"


def _told(event: Event) -> str:
    match event["event"]:
        case "attempt":
            error = f": {printable(str(event['error']))}" if event.get("error") else ""
            failed = f", {printable(str(event['error_type']))}{error}" if event.get("error_type") else ""
            return (
                f"{event.get('outcome')!s:<9}  {printable(str(event.get('actor')))}"
                f"  {printable(str(event.get('message_id')))}  attempt {event.get('attempt')}"
                f"  took {took_in_words(float(event.get('duration_ms', 0)))}"
                f"  waited {took_in_words(float(event.get('wait_ms', 0)))}"
                f"  {printable(str(event.get('worker')))}{failed}"
            )
        case name if name == LEFT_OUT:
            return f"… {event.get('count'):,} events left out"
        case name if name in (STARTED, STOPPED):
            return f"worker {name.removeprefix('worker_')}  {printable(str(event.get('worker')))}"
        case name:
            return printable(name)
