"""What operators ask schedulers, and tell the one that leads: JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

# What any replica answers, what only the leader does, and what changes the roster.
STATUS = "status"
QUESTIONS = ("list", "show")
CHANGES = ("pause", "resume", "add", "change", "remove", "reset-watermark")


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A question to all replicas, or a change that one of them, the leader, is to make.

    Attributes:
        id: the same for copies of it; a change is made once.
        action: ``status``, or one of ``QUESTIONS`` or ``CHANGES``.
        by: who wants it.
        fields: what else it says.
    """

    id: str
    action: str
    by: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)

    def encode(self) -> bytes:
        """Return it as JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Return what :meth:`encode` was called on.

        Raises:
            ValueError: it is none.
        """
        try:
            data = json.loads(body)
            fields = data.get("fields", {})
            if not isinstance(fields, dict):
                raise TypeError("its fields are no object")
            return cls(str(data["id"]), str(data["action"]), str(data.get("by", "")), fields)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{body[:200]!r} is no inquiry: {error!r}") from None
