"""What a process tells of itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """What a worker does just now."""

    CONSUMING = "consuming"
    PAUSED = "paused"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class Running:
    """An attempt that runs.

    Attributes:
        message_id: of its message.
        actor: the actor's name.
        queue: the logical queue.
        attempt: its number, from 1.
        since: when it began, in milliseconds since the Unix epoch, on the clock of its process.
    """

    message_id: str
    actor: str
    queue: str
    attempt: int
    since: int


@dataclass(frozen=True, slots=True)
class ActorWork:
    """What a process has done for one actor.

    Attributes:
        ended: how many attempts have ended since it started.
        failed: how many of them have raised, or ended among the dead letters.
        per_s: how many a second ended in the last ten seconds.
        minute: how many ended in the last minute.
        mean_ms: how long one of those took, on average; 0 if none ended.
    """

    ended: int
    failed: int
    per_s: float
    minute: int
    mean_ms: float


@dataclass(frozen=True, slots=True)
class Report:
    """What a worker process tells of itself.

    Attributes:
        member: names this life of it: host, process id, and something random.
        host: where it runs.
        pid: its process id.
        started: when it began to work, in milliseconds since the Unix epoch.
        at: when it told this, likewise, on its own clock.
        every_ms: how long it is until it tells the next, in milliseconds.
        keep_ms: how long this is kept.
        version: of the application.
        identity: what it works with; see :func:`actors.assembly.identity`.
        queues: the logical queues that it takes from.
        threads: how many attempts it can run at a time.
        state: what it does.
        why: why it is paused.
        memory_mib: how much of it is in memory, in MiB.
        outcomes: how many attempts have ended since it started, by outcome.
        failed: how many of them have raised, or ended among the dead letters.
        per_s: how many a second ended in the last ten seconds.
        per_s_minute: how many a second ended in the last minute.
        actors: the same by actor, those with most attempts first, of which not all need be there.
        running: what runs.
        in_hand: how many messages it has taken, and not ended, by queue.
        is_followed: whether it publishes an event for each attempt that ends.
    """

    member: str
    host: str
    pid: int
    started: int
    at: int
    every_ms: int
    keep_ms: int
    version: str
    identity: Mapping[str, Any]
    queues: Sequence[str]
    threads: int
    state: State = State.CONSUMING
    why: str = ""
    memory_mib: float = 0.0
    outcomes: Mapping[str, int] = field(default_factory=dict)
    failed: int = 0
    per_s: float = 0.0
    per_s_minute: float = 0.0
    actors: Mapping[str, ActorWork] = field(default_factory=dict)
    running: Sequence[Running] = ()
    in_hand: Mapping[str, int] = field(default_factory=dict)
    is_followed: bool = False

    def encode(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def decode(cls, text: str) -> Report:
        """Return the report that *text* is.

        Raises:
            ValueError: it is none, or of a release that tells something else.
        """
        try:
            told = json.loads(text)
            told["state"] = State(told["state"])
            told["running"] = tuple(Running(**each) for each in told["running"])
            told["actors"] = {name: ActorWork(**work) for name, work in told["actors"].items()}
            known = {name: told[name] for name in cls.__slots__ if name in told}
            return cls(**known)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"not a report: {error}") from None
