"""What a relay is asked about the messages that it keeps, and what it answers: both are JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import dramatiq
from dramatiq.errors import DecodeError

from actors.brokers.hold import Held

Action = Literal["list", "cancel", "run-now"]
ACTIONS: tuple[Action, ...] = ("list", "cancel", "run-now")


@dataclass(frozen=True, slots=True)
class Delayed:
    """A delayed message, as it is shown.

    Attributes:
        message_id: its id; empty if it has none.
        actor: its actor's name; None if its body can't be decoded.
        queue: the logical queue that it is due in.
        due: when it may run, in milliseconds since the Unix epoch.
        retries: how often it has been tried again so far.
        size: of its body, in bytes.
        hold_queue: the physical queue that it waits in; empty in a file, which has none.
    """

    message_id: str
    actor: str | None
    queue: str
    due: int
    retries: int
    size: int
    hold_queue: str

    @classmethod
    def of(cls, held: Held) -> Delayed:
        """Return what there is to see of *held*, whatever its body is."""
        actor, retries = read_body(held.body)
        message_id = held.properties.message_id or ""
        return cls(message_id, actor, held.queue, held.due, retries, len(held.body), held.found_in)


@dataclass(frozen=True, slots=True)
class Found:
    """A message that was met: listed, or dealt with, unless there is a *problem*."""

    message: Delayed
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A question to all relays about one hold queue.

    Attributes:
        action: to ``list`` what they keep of it, or to ``cancel`` or ``run-now`` those of it that are in *ids*.
        hold_queue: the physical name of the queue.
        ids: message ids.
        took_ms: for how long who asks had messages of the queue in hand, until a moment ago.
    """

    action: Action
    hold_queue: str
    ids: frozenset[str] = frozenset()
    took_ms: int = 0

    def encode(self) -> bytes:
        """Return it as JSON."""
        return json.dumps(asdict(self) | {"ids": sorted(self.ids)}).encode()

    @classmethod
    def decode(cls, body: bytes) -> Inquiry:
        """Return the inquiry in *body*.

        Raises:
            ValueError: there is none, or it is of a version that asks for more.
        """
        data = _object(body)
        try:
            inquiry = cls(data["action"], str(data["hold_queue"]), frozenset(data["ids"]), int(data["took_ms"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"not an inquiry: {body[:200]!r}") from error
        if inquiry.action not in ACTIONS:
            raise ValueError(f"not an action: {inquiry.action!r}")
        return inquiry


@dataclass(frozen=True, slots=True)
class Answer:
    """What one relay says: what it keeps, or what of it was named."""

    found: Sequence[Found] = ()

    def encode(self) -> bytes:
        """Return it as JSON."""
        return json.dumps({"found": list(map(asdict, self.found))}).encode()

    @classmethod
    def decode(cls, body: bytes) -> Answer:
        """Return the answer in *body*.

        Raises:
            ValueError: there is none, or it is of a version that says something else.
        """
        try:
            return cls([Found(_delayed(row["message"]), row["problem"]) for row in _object(body)["found"]])
        except (KeyError, TypeError) as error:
            raise ValueError(f"not an answer: {body[:200]!r}") from error


def _delayed(row: Mapping[str, Any]) -> Delayed:
    return Delayed(**{name: row[name] for name in Delayed.__slots__})


def _object(body: bytes) -> dict[str, Any]:
    data = json.loads(body)
    if not isinstance(data, dict):
        raise ValueError(f"not an object: {body[:200]!r}")
    return data


def read_body(body: bytes) -> tuple[str | None, int]:
    """Return the actor and the number of retries of the message in *body*; no actor if it can't be decoded."""
    try:
        message = dramatiq.Message.decode(body)
        retries = message.options.get("retries", 0)
    except (DecodeError, TypeError, AttributeError):
        return None, 0
    return str(message.actor_name), retries if isinstance(retries, int) else 0
