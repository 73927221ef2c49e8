"""Counts what becomes of messages."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import dramatiq
from dramatiq.middleware import Middleware, TimeLimitExceeded

from middleware.ended import Ended
from middleware.failure import Reason
from middleware.guarded import comes_again
from middleware.letter import Letter, replays_of
from middleware.metrics import catalogue
from middleware.metrics.labels import UNKNOWN, Labels
from middleware.metrics.registry import Registry
from middleware.metrics.sink import Sample, Sink
from middleware.metrics.tally import Tally
from middleware.trail import retries_of

log = logging.getLogger(__name__)

# How long nothing is said of more of the same, in seconds.
QUIET_FOR_S = 60.0

# Attempts that came to something: how long these took, and waited, is observed.
RAN = frozenset({"done", "retried", "dead"})

_REASONS = frozenset(Reason)


class Metrics(Middleware):
    """Counts attempts, as a listener of :class:`middleware.Attempts`, and what else becomes of messages.

    What is counted is kept when the call returns, and so before the message is acked.

    Attributes:
        sink: where it is kept; the default registry of prometheus_client until somebody says otherwise.
    """

    def __init__(self, sink: Sink | None = None) -> None:
        self.sink: Sink = sink or Registry()
        self._actors = Labels()
        self._queues = Labels()
        self._warned_at = float("-inf")

    def after_declare_actor(self, broker: dramatiq.Broker, actor: dramatiq.Actor[..., Any]) -> None:
        """Let the actor have a label."""
        self._actors.declare(actor.actor_name)

    def after_declare_queue(self, broker: dramatiq.Broker, queue_name: str) -> None:
        """Let the queue have a label."""
        self._queues.declare(queue_name)

    def after_enqueue(self, broker: dramatiq.Broker, message: dramatiq.Message[Any], delay: int | None) -> None:
        """Count a message that is new."""
        # One with a delay reaches plain Dramatiq's broker a second time when it is due.
        if "eta" in message.options or retries_of(message) or "attempts" in message.options or comes_again(message):
            return
        labels = self._actors[message.actor_name], self._queues[message.queue_name]
        self._add({Sample(catalogue.ENQUEUED, labels): 1})

    def __call__(self, batch: Sequence[Ended]) -> None:
        """Count all of *batch*."""
        groups: defaultdict[tuple[str, str, str], list[Ended]] = defaultdict(list)
        replayed: list[Ended] = []
        for ended in batch:
            message = ended.message._message
            groups[message.actor_name, message.queue_name, ended.outcome].append(ended)
            if "replays" in message.options:
                replayed.append(ended)
        tally = Tally()
        for (actor, queue, outcome), group in groups.items():
            self._count(tally, (self._actors[actor], self._queues[queue]), outcome, group)
        for ended in replayed:
            if ended.outcome in RAN and ended.number == 1 and replays_of(ended.message._message):
                labels = self._actors[ended.message.actor_name], self._queues[ended.message.queue_name]
                tally.count(catalogue.REPLAYS, labels, 1)
        self._add(tally.amounts)

    def died(self, letter: Letter) -> None:
        """Count *letter*, which is among the dead letters now."""
        reason = letter.reason if letter.reason in _REASONS else UNKNOWN
        labels = self._actors[letter.actor], self._queues[letter.queue], reason
        self._add({Sample(catalogue.DEAD_LETTERS, labels): 1})

    def answered(self, results: Mapping[str, int]) -> None:
        """Count what became of messages with a key, by what it was."""
        self._add({Sample(catalogue.IDEMPOTENCY, (result,)): number for result, number in results.items()})

    def _add(self, amounts: Mapping[Sample, float]) -> None:
        try:
            self.sink.add(amounts)
        except Exception:
            # A full disk must not keep messages from their ends.
            if time.monotonic() - self._warned_at > QUIET_FOR_S:
                self._warned_at = time.monotonic()
                log.exception("what becomes of messages can't be counted")

    def _count(self, tally: Tally, labels: tuple[str, str], outcome: str, group: Sequence[Ended]) -> None:
        tally.count(catalogue.ATTEMPTS, (*labels, outcome), len(group))
        if outcome in RAN:
            tally.observe(catalogue.WAIT, labels, [ended.wait_ms for ended in group], scale=1_000)
            tally.observe(catalogue.DURATION, labels, [ended.duration_ms for ended in group], scale=1_000)
        exceeded = 0 if outcome == "done" else sum(isinstance(ended.error, TimeLimitExceeded) for ended in group)
        if exceeded:
            tally.count(catalogue.TIME_LIMITS, labels, exceeded)
