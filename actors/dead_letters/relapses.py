"""Whether what is replayed fails again."""

from __future__ import annotations

from collections.abc import Callable

from middleware import Letter

# Unless it is told when to stop, a replay stops after so many, if they are more than half of those that have ended.
LEAST = 10


def is_relapse(letter: Letter, started: int) -> bool:
    """Return whether *letter* is of a message that was replayed since *started*, in milliseconds since the epoch."""
    return letter.replays > 0 and letter.enqueued >= started


def are_too_many(found: int, replayed: int, waiting: Callable[[], int], *, stop_after: int | None) -> bool:
    """Return whether a replay is to stop.

    Args:
        found: how many relapses there are.
        replayed: how many messages were replayed.
        waiting: called for how many messages have not begun, at most.
        stop_after: how many are too many; None for most of those that have ended.
    """
    if stop_after is not None:
        return found >= stop_after
    return found >= LEAST and found > max(1, replayed - waiting()) / 2
