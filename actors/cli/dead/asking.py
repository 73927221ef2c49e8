"""What commands that change dead letters have in common: a preview, a question, a bar, and an end at Ctrl-C."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from actors.cli.audit import audit
from actors.dead_letters import Dead


def must_ask(*, yes: bool, dry_run: bool, as_json: bool) -> bool:
    """Return whether to ask before anything changes.

    Raises:
        typer.BadParameter: it would have to, and nobody could answer.
    """
    if yes or dry_run:
        return False
    if as_json or not sys.stdin.isatty():
        raise typer.BadParameter("nobody is here to confirm it; give --yes, or --dry-run to look", param_hint="--yes")
    return True


@contextmanager
def until_interrupted() -> Iterator[Callable[[], bool]]:
    """Give a function that returns whether to go on: until the first Ctrl-C. The second one is not waited for."""
    interrupted: list[int] = []

    def interrupt(number: int, _: FrameType | None) -> None:
        interrupted.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield lambda: not interrupted
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def bar(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show on stderr, where that is a terminal, how much of *total* is done, as the function that is given is told."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done: progress.update(task, completed=done)


def note(operation: str, dead: Dead, *, echo: bool = True) -> None:
    """Leave a line for an audit on what happened to a letter."""
    letter = dead.letter
    audit(
        echo=echo,
        operation=operation,
        outcome="done",
        letter=letter.id,
        message_id=letter.message_id,
        actor=letter.actor,
        queue=dead.queue,
        reason=letter.reason,
        replays=letter.replays,
    )
