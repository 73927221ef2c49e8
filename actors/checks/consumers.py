"""Whether somebody takes the messages of a queue, and what is left of those that nobody has brought to their end."""

from __future__ import annotations

from actors.checks.finding import Finding, count, ok, warning
from periodic.health import in_short


def check_consumers(queue: str, *, consumers: int, waiting: str, schedules: tuple[str, ...], place: str) -> Finding:
    """Say whether a queue has consumers.

    Args:
        queue: its name.
        consumers: how many it has.
        waiting: what waits there, in words; empty for nothing where it has no consumer.
        schedules: the names of those that enqueue there.
        place: what two processes must have in common to see the same queue, in words.
    """
    if consumers:
        return ok("consumers", queue, f"{count(consumers, 'consumer')}, {waiting}")
    waits = f", {waiting}" if waiting else ""
    enqueue = f"; what enqueues there: {in_short(schedules)}" if schedules else ""
    advice = (
        f"start a worker that takes it: dramatiq actors shop.tasks -Q {queue}; if one runs, the start line in its "
        f"log names {place}"
    )
    return warning("consumers", queue, f"no consumer{waits}{enqueue}", advice)


def check_dead(queue: str, dead: int) -> Finding:
    """Say that a queue has *dead* letters."""
    return warning(
        "dead-letters",
        queue,
        f"{count(dead, 'dead letter')} to decide on",
        "actors dead list --groups says of what; then replay or discard them",
    )
