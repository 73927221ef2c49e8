"""The scene as a live view in a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from actors.cli.records import duration, printable
from actors.dev.scene import Attempt, Process, Scene

MOST_RUNNING, MOST_QUEUES = 8, 8
ID_LENGTH = 8

_STATES = {"ready": "green", "starting": "yellow", "stopping": "yellow", "ended": "dim"}
_OUTCOMES = {
    "done": "green",
    "duplicate": "dim",
    "aborted": "dim",
    "skipped": "dim",
    "later": "yellow",
    "retried": "yellow",
}


def render(scene: Scene, title: str, now_s: float, now: datetime) -> Group:
    """Return *scene* at *now_s* on its own clock, and at *now*, under *title*."""
    parts: list[RenderableType] = [Text(title, style="bold"), _processes(scene, now_s)]
    if scene.queues:
        parts.append(_queues(scene))
    if scene.running:
        parts.append(_running(scene, now_s))
    if scene.finished:
        parts.append(_finished(scene.finished, now_s))
    if scene.coming:
        parts.append(_coming(scene, now))
    return Group(*(each for part in parts for each in (Text(), part)))


def _table(*headings: str, numbers: Iterable[str] = ()) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in headings:
        right = heading in numbers
        table.add_column(heading.upper(), justify="right" if right else "left", no_wrap=True, overflow="ellipsis")
    return table


def _processes(scene: Scene, now_s: float) -> Table:
    table = Table.grid(padding=(0, 2))
    for name, process in scene.processes.items():
        why = f"another leads: {printable(scene.leader)}" if name == "scheduler" and scene.leader else process.why
        state = Text(process.state, style=_STATES.get(process.state, "bold red"))
        table.add_row(Text(name), state, _since(process, now_s), Text(why))
    return table


def _since(process: Process, now_s: float) -> Text:
    return Text(_span(now_s - process.since_s), style="dim")


def _queues(scene: Scene) -> Table:
    table = _table("queue", "ready", "delayed", "dead", numbers=("ready", "delayed", "dead"))
    for name, (ready, delayed, dead) in sorted(scene.queues.items())[:MOST_QUEUES]:
        table.add_row(printable(name), f"{ready:,}", f"{delayed:,}", Text(f"{dead:,}", style="red" if dead else ""))
    return _and_more(table, len(scene.queues) - MOST_QUEUES)


def _running(scene: Scene, now_s: float) -> Table:
    table = _table("running", "message", "attempt", "for", numbers=("attempt", "for"))
    for each in list(scene.running.values())[:MOST_RUNNING]:
        table.add_row(_actor(each), _id(each), str(each.number), _span(now_s - each.at_s))
    return _and_more(table, len(scene.running) - MOST_RUNNING)


def _finished(attempts: Iterable[Attempt], now_s: float) -> Table:
    table = _table("finished", "message", "attempt", "outcome", "took", "ago", "", numbers=("attempt", "took", "ago"))
    for each in reversed(list(attempts)):
        outcome = Text(each.outcome, style=_OUTCOMES.get(each.outcome, "bold red"))
        took, ago = took_in_words(each.duration_ms), _span(now_s - each.at_s)
        table.add_row(_actor(each), _id(each), str(each.number), outcome, took, ago, Text(printable(each.error)))
    return table


def _coming(scene: Scene, now: datetime) -> Table:
    table = _table("next tick", "in", "at", numbers=("in",))
    for name, at in scene.coming:
        left_s = max(0.0, (at - now.astimezone(UTC)).total_seconds())
        table.add_row(printable(name), _span(left_s), f"{at.astimezone():%Y-%m-%d %H:%M:%S}")
    return table


def _and_more(table: Table, more: int) -> Table:
    if more > 0:
        table.add_row(Text(f"and {more:,} more", style="dim"))
    return table


def _actor(attempt: Attempt) -> str:
    return printable(attempt.actor)


def _id(attempt: Attempt) -> Text:
    return Text(printable(attempt.message_id[:ID_LENGTH]), style="dim")


def _span(seconds: float) -> str:
    """Return whole seconds, so that a column does not flicker."""
    return duration(max(0, int(seconds)) * 1_000) if seconds >= 1 else "0s"


def took_in_words(milliseconds: float) -> str:
    """Return such as ``0.3ms``, ``12ms`` or ``1m5s``."""
    return f"{milliseconds:.1f}ms" if milliseconds < 10 else duration(round(milliseconds))
