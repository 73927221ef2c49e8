"""What an operator needs of the schedulers, whatever they work with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from middleware import TickRun
from periodic.inquiry import Inquiry
from periodic.missed import Missed
from periodic.roster import Roster
from periodic.watermark import Watermark


@dataclass(frozen=True, slots=True)
class Reply:
    """What one scheduler has answered.

    Attributes:
        status: what it tells of itself.
        answer: what only the leader answers, or None.
        refused: why it does not do what it was told; empty if it does.
    """

    status: Mapping[str, Any]
    answer: Mapping[str, Any] | None = None
    refused: str = ""

    @property
    def is_leaders(self) -> bool:
        """Whether it is a leader's word on more than its status."""
        return self.answer is not None or bool(self.refused)

    @classmethod
    def of(cls, data: object) -> Reply:
        """Return the reply that *data* is, in JSON's types.

        Raises:
            ValueError: it is none, or it is of a version that says something else.
        """
        if not isinstance(data, dict) or not isinstance(data.get("status"), dict):
            raise ValueError(f"not a reply: {data!r}"[:200])
        answer = data.get("answer")
        return cls(data["status"], answer if isinstance(answer, dict) else None, str(data.get("refused", "")))

    @classmethod
    def decode(cls, body: bytes) -> Reply:
        """Return the reply in *body*.

        Raises:
            ValueError: as for :meth:`of`.
        """
        return cls.of(json.loads(body))


@dataclass(frozen=True, slots=True)
class Heard:
    """What all schedulers have answered.

    Attributes:
        replies: one for each that did.
        silent: how many more there are; they hang, or are of another version.
    """

    replies: Sequence[Reply] = field(default_factory=list)
    silent: int = 0

    @property
    def leaders(self) -> Reply | None:
        """The leader's word, if there is one."""
        return next((reply for reply in self.replies if reply.is_leaders), None)


class View(Protocol):
    """A look at the schedulers of an environment."""

    @property
    def problem(self) -> str:
        """What keeps all of them from work, as far as was seen; empty for nothing."""

    def ask(self, inquiry: Inquiry) -> Heard:
        """Return what all schedulers answer to *inquiry*."""

    def tell(self, inquiry: Inquiry) -> Heard:
        """Return what is answered to *inquiry* once a leader has answered it, or none has in time."""

    def kept(self) -> tuple[Roster | None, Watermark | None]:
        """Return roster and watermark.

        Raises:
            ValueError: they can't be read.
        """

    def runs(self, names: set[str]) -> list[TickRun]:
        """Return the records of runs of schedules with *names*."""

    def missed(self, names: set[str]) -> list[Missed]:
        """Return the records of missed ticks of schedules with *names*."""

    def reset_watermark(self, to: datetime, now: datetime, *, force: bool) -> str:
        """Move the watermark to *to*, where none leads; return what was done.

        Raises:
            PeriodicError, ValueError: it is not moved.
        """
