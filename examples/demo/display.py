"""What is shown: a live view in a terminal, lines elsewhere, and the table at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from examples.demo.processes import LEASE_MS, SURVIVOR, VICTIM, WORKERS
from examples.demo.progress import JOBS, Progress

LINE_SECONDS = 2.0


@contextmanager
def progress_on(console: Console) -> Iterator[Callable[[Progress], None]]:
    """Give the function that shows each step of the progress."""
    if not console.is_interactive:
        yield _Lines(console)
        return
    with Live(console=console, auto_refresh=False) as live:
        yield lambda progress: live.update(_view(progress), refresh=True)


def table(end: Progress) -> Table:
    """Return what became of all jobs, by actor and queue."""
    made = Table("actor", "queue", box=None, show_footer=True, footer_style="bold")
    rows = [(count.sent, count.run, count.lost, count.maybe_ran, count.again) for count in end.counts.values()]
    for name, numbers in zip(("sent", "run", "lost", "maybe ran", "again"), zip(*rows, strict=True), strict=False):
        made.add_column(name, f"{sum(numbers):,}", justify="right")
    for count, row in zip(end.counts.values(), rows, strict=True):
        made.add_row(count.actor, count.queue, *(f"{number:,}" for number in row))
    return made


def verdict(end: Progress) -> Iterator[str]:
    """Say what the table shows, in a few lines."""
    if end.maybe_ran:
        yield (
            f"maybe ran: {VICTIM} held them when it was killed, and how far it had come with them nobody knows; after "
            f"the leases of its keys, {LEASE_MS / 1000:g} s (ACTORS_IDEMPOTENCY_LEASE_MS={LEASE_MS}), and of its "
            f"messages {SURVIVOR} ran them, and current().maybe_ran told each of it."
        )
    if end.again:
        yield (
            f"again: of those, {end.again - end.untold:,} had already taken effect in {VICTIM}, which was killed "
            "before that was recorded."
        )
    if end.untold:
        yield f"Broken: {end.untold:,} jobs ran again and were not told."
    if end.payments > end.orders:
        yield f"Broken: the gateway took {end.payments:,} payments for {end.orders:,} orders."
    if end.complete:
        yield (
            f"Shown: {end.orders:,} orders became {end.jobs:,} jobs; {VICTIM} was killed with SIGKILL after "
            f"{end.killed_after:,} of them, {SURVIVOR} did the rest, and none was lost; the gateway took "
            f"{end.payments:,} payments: {end.seconds:.0f} s in all."
        )
    else:
        yield f"Not shown: after {end.seconds:.0f} s only {end.run:,} of {end.jobs:,} jobs had run."


class _Lines:
    """A line every two seconds, and one when something happens."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._due = 0.0
        self._events = (False, False)

    def __call__(self, progress: Progress) -> None:
        events = (progress.killed_after is not None, progress.complete)
        if progress.seconds < self._due and events == self._events:
            return
        self._due, self._events = progress.seconds + LINE_SECONDS, events
        workers = ", ".join(_state(progress, name).plain for name in WORKERS)
        self._console.print(f"{progress.seconds:5.1f} s  {progress.run:>6,} of {progress.jobs:,} jobs  {workers}")


def _view(progress: Progress) -> Group:
    bars = Table.grid(padding=(0, 2))
    for actor in JOBS:
        run = progress.counts[actor].run if actor in progress.counts else 0
        bars.add_row(
            actor,
            ProgressBar(progress.orders, run, width=40, finished_style="green"),
            f"{run:,} of {progress.orders:,}",
        )
    workers = Text("   ").join(_state(progress, name) for name in WORKERS)
    return Group(bars, workers, Text(f"{progress.seconds:.1f} s", style="dim"))


def _state(progress: Progress, worker: str) -> Text:
    jobs = f"{worker}: {progress.runs.get(worker, 0):,}"
    if worker == VICTIM and progress.killed_after is not None:
        return Text(f"{jobs}, killed", style="red")
    return Text(jobs, style="green")
