"""How far dead letters were looked at."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Looked:
    """How far a queue of dead letters was looked into.

    Attributes:
        queue: the logical queue.
        found_in: the physical one.
        seen: how many of its dead letters were looked at.
        left: how many more were in it.
    """

    queue: str
    found_in: str
    seen: int
    left: int
