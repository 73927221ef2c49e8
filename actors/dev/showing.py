"""What ``actors dev`` writes: a live view, lines for people, or a JSON object a line."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from actors.cli.records import printable
from actors.dev.scene import Scene
from actors.dev.view import render, took_in_words

Record = dict[str, Any]
Show = Callable[[list[Record]], None]

NAME_WIDTH = 9
# How often a live view is drawn at most, and while only time goes by.
DRAW_EVERY_S, DRAW_IDLE_EVERY_S = 0.2, 1.0


def as_json(records: list[Record]) -> None:
    """Write each of *records*, with the time."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    for record in records:
        typer.echo(json.dumps({"time": now, **record}))


def as_lines(records: list[Record]) -> None:
    """Write what people want to read of *records*; what somebody else has written stays as it is."""
    for record in records:
        if line := in_words(record):
            typer.echo(line)


def while_read(show: Show, gone: Callable[[], None]) -> Show:
    """Return *show*, which calls *gone* and writes to nowhere once nobody can read it, as in a closed terminal."""

    def showing(records: list[Record]) -> None:
        try:
            show(records)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            gone()

    return showing


@contextmanager
def as_view(title: str) -> Iterator[Show]:
    """Give the function that shows what has happened in a live view; what processes write scrolls above it."""
    console, scene = Console(highlight=False), Scene()
    drawn_s, is_new = 0.0, True
    with Live(console=console, auto_refresh=False, transient=True) as live:

        def show(records: list[Record]) -> None:
            nonlocal drawn_s, is_new
            now_s = time.monotonic()
            scene.follow(records, now_s)
            is_new = is_new or bool(records)
            written = [line for record in records if record["event"] in SCROLLED and (line := in_words(record))]
            if written:
                console.print(Text.from_ansi("\n".join(written)), soft_wrap=True)
            if written or now_s - drawn_s >= (DRAW_EVERY_S if is_new else DRAW_IDLE_EVERY_S):
                drawn_s, is_new = now_s, False
                live.update(render(scene, title, now_s, datetime.now(UTC)), refresh=True)

        yield show


# What the view does not show by itself.
SCROLLED = ("line", "state", "changed", "unwatched", "stop")


def in_words(record: Record) -> str:
    """Return *record* as a line; empty if it is none for people."""
    match record["event"]:
        case "line":
            return _line(record["process"], record["text"])
        case "state":
            why = f": {record['why']}" if record["why"] else ""
            return _line("dev", f"{record['process']}: {record['state']}{why}")
        case "changed":
            return _line("dev", f"changed: {_files(record)}; reloading")
        case "unwatched":
            return _line("dev", f"changes are not noticed: {printable(record['why'])}")
        case "stop":
            return _line("dev", record["why"])
        case "started":
            return _line("worker", f"{printable(record['actor'])} begins, message {printable(record['message_id'])}")
        case "ended":
            took = took_in_words(record["duration_ms"])
            told = f"{printable(record['actor'])} {record['outcome']} after {took}"
            return _line("worker", f"{told}, message {printable(record['message_id'])}, attempt {record['attempt']}")
    return ""


def _files(record: Record) -> str:
    named = ", ".join(map(printable, record["paths"]))
    more = record["files"] - len(record["paths"])
    return f"{named} and {more} more" if more else named


def _line(process: str, text: str) -> str:
    return f"{process:<{NAME_WIDTH}} | {text}"
