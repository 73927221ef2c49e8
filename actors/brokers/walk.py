"""Looks through all delayed messages: those in the hold queues, and those that relays keep."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from dramatiq.errors import BrokerConnectionError

from actors.brokers.admin import Admin
from actors.brokers.asking import Asking
from actors.brokers.hold import Held
from actors.brokers.inquiry import Action, Delayed, Found, Inquiry
from actors.brokers.peek import Peek
from actors.brokers.topology import Queue, Topology

# How long the relays may take for an answer, in seconds.
PATIENCE_S = 2.0


@dataclass(frozen=True, slots=True)
class Looked:
    """How far a walk has looked into one hold queue.

    Attributes:
        hold_queue: its physical name.
        hold_ms: how long messages are held there.
        seen: how many of its messages were looked at, or were named by a relay that keeps them.
        left: how many more are in it.
    """

    hold_queue: str
    hold_ms: int
    seen: int
    left: int


@dataclass(frozen=True, slots=True)
class Errand:
    """What a walk is for.

    Attributes:
        action: what relays are asked for.
        ids: the ids of the messages to deal with; a message may have copies.
        act: deals with those of them that are in a hold queue, and acks them; returns what came of each.
    """

    action: Action
    ids: frozenset[str]
    act: Callable[[Sequence[Held]], list[Found]]


LIST = Errand("list", frozenset(), lambda named: [])


class Walk:
    """Ways through all hold queues, from the longest hold to the shortest.

    Messages move to shorter holds, and of each queue first its own messages are looked at, then those that relays keep
    of it. So one that moves meanwhile is met at least once; it may be met twice.

    What is taken from a queue is given back before the next one is looked at. It is late by that at most.

    Args:
        admin: its connection.
        topology: names the queues.
        depth: how many messages of each queue are looked at.
        patience_s: how long relays may take for an answer, in seconds.
    """

    def __init__(self, admin: Admin, topology: Topology, *, depth: int, patience_s: float = PATIENCE_S) -> None:
        self._admin = admin
        self._topology = topology
        self._depth = depth
        self._asking = Asking(admin, topology, patience_s=patience_s)

    @property
    def silent(self) -> int:
        """How many relays do not answer."""
        return self._asking.silent

    def go(self, errand: Errand, see: Callable[[Found], None]) -> list[Looked]:
        """Call *see* with each message that is met, or dealt with; return how far it went in each queue.

        Raises:
            ConnectionFailed: RabbitMQ did not answer in time.
            AccessRefused: the user has no right to read hold queues, or to ask relays.
        """
        looked = []
        for hold_ms, queue in self._queues():
            self._admin.restart_clock()
            depth = self._admin.depth(queue)
            if depth is None:
                continue
            seen, left, took_ms = self._peek(queue, errand, see) if depth.messages else (0, 0, 0)
            inquiry = Inquiry(errand.action, queue.name, errand.ids, took_ms)
            for answer in self._asking.ask(inquiry, depth.consumers):
                seen += len(answer.found)
                for found in answer.found:
                    see(found)
            if seen:
                looked.append(Looked(queue.name, hold_ms, seen, left))
        return looked

    def _queues(self) -> list[tuple[int, Queue]]:
        # What is left of the other queue type moves to the present one.
        both = [*self._topology.under_other_type().holds().items(), *self._topology.holds().items()]
        return sorted(both, key=lambda each: -each[0])

    def _peek(self, queue: Queue, errand: Errand, see: Callable[[Found], None]) -> tuple[int, int, int]:
        since = time.monotonic()
        named: list[Held] = []

        def meet(held: Held) -> None:
            if errand is LIST:
                see(Found(Delayed.of(held)))
            elif held.properties.message_id in errand.ids:
                named.append(held)

        with Peek(self._admin, queue, self._depth, meet) as peek:
            found = errand.act(named) if named else []
            self._admin.restart_clock()
            try:
                if found:
                    peek.settle()
            except BrokerConnectionError as error:
                found = [replace(each, problem=f"it may be gone all the same: {error}") for each in found]
                raise
            finally:
                for each in found:
                    see(each)
        return peek.taken, peek.left, math.ceil(1000 * (time.monotonic() - since))
