"""How dead letters are to be replayed, and how far that came."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from actors.dead_letters.objections import Objection
from actors.dead_letters.selection import Dead


@dataclass(frozen=True, slots=True)
class Replayed:
    """How far a replay came.

    Attributes:
        replayed: how many letters were sent again, confirmed, and taken from their queue.
        kept: how many were not, because of an objection.
        relapsed: how many of the messages were found to have failed again.
        stopped: why it ended before its end; empty if it did not.
    """

    replayed: int = 0
    kept: int = 0
    relapsed: int = 0
    stopped: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On which terms letters are replayed.

    Attributes:
        rate: how many a second; None for as many as can be.
        stop_after: after how many that have failed again to stop; None for 10 and more than half of those that can have
            ended.
        force: replay also those whose objection can be overruled.
        kept: called with each letter that is kept because of an objection.
        done: called with each letter that is replayed.
        go_on: asked several times a second whether to go on; what is on its way is brought to its end.
    """

    rate: float | None = None
    stop_after: int | None = None
    force: bool = False
    kept: Callable[[Dead, Objection], object] = lambda dead, objection: None
    done: Callable[[Dead], object] = lambda dead: None
    go_on: Callable[[Replayed], bool] = lambda so_far: True
