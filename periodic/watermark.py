"""The watermark: which ticks are out."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Self

from periodic.position import Position
from periodic.tick import Tick

# It travels in a header of each tick, and all headers together must fit into one frame of 128 KiB.
MOST_BEHIND = 100
MOST_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Watermark:
    """All ticks up to one position are out, except for schedules that have an earlier position of their own.

    Attributes:
        mark: the position. It never goes back.
        moved_at: when a tick was last enqueued, in UTC.
        behind: where schedules stand whose ticks RabbitMQ would not take.
        batch: the number of the batch of schedules that last had to catch up with the mark; their names and where
            each began are in the roster.
        backlog: how far that batch has come; None once it is where the mark is.
        leader: who has moved it.
    """

    mark: Position
    moved_at: datetime
    behind: Mapping[str, Position] = field(default_factory=dict)
    batch: int = 0
    backlog: Position | None = None
    leader: str = ""

    def of(self, schedule: str) -> Position:
        """Where *schedule* stands if it does not catch up with a batch."""
        return self.behind.get(schedule, self.mark)

    def past(self, tick: Tick, now: datetime) -> Watermark:
        """Return the watermark with *tick* out, all before it being out, or dealt with in another way."""
        position = Position.of(tick)
        if position > self.mark:
            # It is the next in the order of all, so that none of the batch is left.
            behind = _without(self.behind, {tick.schedule})
            return replace(self, mark=position, moved_at=now, backlog=None, behind=behind)
        if tick.schedule in self.behind:
            return replace(self, moved_at=now, behind={**self.behind, tick.schedule: position})
        return replace(self, moved_at=now, backlog=position)

    def holding_back(self, schedule: str, position: Position) -> Watermark:
        """Return the watermark with *schedule* left behind at *position*, while the others go on."""
        return self if schedule in self.behind else replace(self, behind={**self.behind, schedule: position})

    @property
    def is_full(self) -> bool:
        """Whether no more schedules can be behind."""
        return len(self.behind) >= MOST_BEHIND or len(self.encode().encode()) > MOST_BYTES

    def encode(self) -> str:
        """Return it as text, for a header."""
        fields: dict[str, Any] = {
            "mark": self.mark.to_json(),
            "moved_at": self.moved_at.isoformat(),
            "batch": self.batch,
            "leader": self.leader,
        }
        if self.behind:
            fields["behind"] = {name: position.to_json() for name, position in self.behind.items()}
        if self.backlog is not None:
            fields["backlog"] = self.backlog.to_json()
        return json.dumps(fields, separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def decode(cls, text: str) -> Self:
        """Return what :meth:`encode` was called on; what a later version has added is left out.

        Raises:
            ValueError: it is no watermark.
        """
        try:
            fields = json.loads(text)
            backlog = fields.get("backlog")
            return cls(
                mark=Position.from_json(fields["mark"]),
                moved_at=datetime.fromisoformat(fields["moved_at"]),
                behind={name: Position.from_json(each) for name, each in fields.get("behind", {}).items()},
                batch=int(fields["batch"]),
                backlog=None if backlog is None else Position.from_json(backlog),
                leader=str(fields.get("leader", "")),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{text[:200]!r} is no watermark: {error!r}") from None


def _without(behind: Mapping[str, Position], names: Collection[str]) -> Mapping[str, Position]:
    if not any(name in behind for name in names):
        return behind
    return {name: at for name, at in behind.items() if name not in names}
