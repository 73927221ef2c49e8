"""Sends messages until RabbitMQ has confirmed them, or says why it could not."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import dramatiq
from dramatiq.errors import BrokerConnectionError
from pika import BasicProperties

from actors.brokers.declarations import Declarations
from actors.brokers.delays import Hold
from actors.brokers.publisher import Publication, Publisher, Refusal
from actors.errors import AccessRefused, EnqueueError

FIRST_BACKOFF_S = 0.1

_random = random.SystemRandom()


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message that is being sent.

    Attributes:
        message: the message.
        body: its bytes.
        delay: what was asked for, in milliseconds, or None.
        due: when it may run, in milliseconds since the Unix epoch; None for at once.
    """

    message: dramatiq.Message[Any]
    body: bytes
    delay: int | None
    due: int | None

    def publication(self, declarations: Declarations, *, timeout_s: float) -> Publication:
        """Return what to publish.

        Raises:
            BrokerError: its queue can't be made to exist.
        """
        properties = BasicProperties(
            content_type="application/json",
            delivery_mode=2,
            message_id=self.message.message_id,
            priority=self.message.options.get("broker_priority"),
        )
        if self.due is None:
            queue = declarations.work(self.message.queue_name, timeout_s=timeout_s)
            return Publication(queue.name, self.body, properties)
        hold = Hold.until(self.due, self.message.queue_name, now=time.time_ns() // 1_000_000)
        queue = declarations.hold(hold.hold_ms, timeout_s=timeout_s)
        return hold.publication(self.body, properties, queue.name)


@dataclass(frozen=True, slots=True)
class Following:
    """What is published once the outcome of an attempt is recorded.

    Attributes:
        outgoing: the message; None for what is no actor's.
        publication: how it is published.
    """

    outgoing: Outgoing | None
    publication: Publication

    @property
    def message(self) -> dramatiq.Message[Any] | None:
        """The message, if it is one of an actor."""
        return None if self.outgoing is None else self.outgoing.message


class Sender:
    """One send: as many attempts as are allowed, within one deadline.

    Args:
        declarations: makes the queues exist.
        publisher: publishes.
        timeout_s: seconds that all attempts and the pauses between them may take.
        attempts: how often a message is written to a connection before the send gives up.
    """

    def __init__(self, declarations: Declarations, publisher: Publisher, *, timeout_s: float, attempts: int) -> None:
        self._declarations = declarations
        self._publisher = publisher
        self._deadline = time.monotonic() + timeout_s
        self._attempts = attempts
        # The ids of messages that were written to a connection which ended, or fell silent, before its answer.
        self._maybe_enqueued: set[str] = set()
        self._hopeless = False

    def send(self, outgoing: list[Outgoing]) -> None:
        """Publish all of *outgoing*, again where it was refused.

        Raises:
            EnqueueError: the limits are reached, and some are not confirmed.
            QueueMismatch, AccessRefused: trying again would not help.
        """
        attempt = 1
        while True:
            outgoing, reason = self._attempt(outgoing)
            if not outgoing:
                return
            if self._hopeless:
                raise self._error(outgoing, reason, attempt)
            pause_s = FIRST_BACKOFF_S * 2 ** (attempt - 1) * _random.uniform(0.5, 1.0)
            if attempt == self._attempts or time.monotonic() + pause_s >= self._deadline:
                raise self._error(outgoing, reason, attempt)
            time.sleep(pause_s)
            attempt += 1

    def _attempt(self, outgoing: list[Outgoing]) -> tuple[list[Outgoing], str]:
        """Publish *outgoing* once; return what was not confirmed, and why."""
        try:
            publications = [each.publication(self._declarations, timeout_s=self._left_s()) for each in outgoing]
        except AccessRefused:
            raise
        except BrokerConnectionError as error:
            return outgoing, str(error)
        refusals = self._publisher.publish(publications, max(0.0, self._deadline - time.monotonic()))
        if not refusals:
            return [], ""
        if any(refusal.unroutable for refusal in refusals):
            self._declarations.forget()
        self._hopeless = any(refusal.hopeless for refusal in refusals)
        sources = {id(publication): each for publication, each in zip(publications, outgoing, strict=True)}
        refused = [(sources[id(refusal.publication)], refusal) for refusal in refusals]
        self._maybe_enqueued.update(each.message.message_id for each, refusal in refused if refusal.maybe_enqueued)
        return [each for each, _ in refused], _most_telling(refusals)

    def _left_s(self) -> float:
        return max(0.1, self._deadline - time.monotonic())

    def _error(self, refused: list[Outgoing], reason: str, attempts: int) -> EnqueueError:
        messages = [each.message for each in refused]
        maybe = any(message.message_id in self._maybe_enqueued for message in messages)
        known = "may be in the queue all the same" if maybe else "is not in the queue"
        what = f"message {messages[0].message_id} of actor {messages[0].actor_name!r}"
        if len(messages) > 1:
            what = f"{len(messages)} messages, the first of them {what},"
        return EnqueueError(
            f"{what} not confirmed after {attempts} attempt{'s' if attempts > 1 else ''}: {reason}; it {known}",
            unconfirmed=messages,
            maybe_enqueued=maybe,
        )


def _most_telling(refusals: Iterable[Refusal]) -> str:
    """Return the reason shared by most refusals."""
    reasons = [refusal.reason for refusal in refusals]
    return max(reasons, key=reasons.count)
