"""Sends messages until RabbitMQ has confirmed them, or says why it could not."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable

from dramatiq.errors import BrokerConnectionError
from pika import BasicProperties

from actors.brokers.declarations import Declarations
from actors.brokers.hold import Hold
from actors.brokers.outgoing import Outgoing
from actors.brokers.publisher import Publication, Publisher, Refusal
from actors.errors import AccessRefused, EnqueueError

FIRST_BACKOFF_S = 0.1

_random = random.SystemRandom()


def publication_of(outgoing: Outgoing, declarations: Declarations, *, timeout_s: float) -> Publication:
    """Return what to publish for *outgoing*.

    Raises:
        BrokerError: its queue can't be made to exist.
    """
    message = outgoing.message
    properties = BasicProperties(
        content_type="application/json",
        delivery_mode=2,
        message_id=message.message_id,
        priority=message.options.get("broker_priority"),
    )
    if outgoing.due is None:
        queue = declarations.work(message.queue_name, timeout_s=timeout_s)
        return Publication(queue.name, outgoing.body, properties)
    hold = Hold.until(outgoing.due, message.queue_name, now=time.time_ns() // 1_000_000)
    queue = declarations.hold(hold.hold_ms, timeout_s=timeout_s)
    return hold.publication(outgoing.body, properties, queue.name)


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
            publications = [publication_of(each, self._declarations, timeout_s=self._left_s()) for each in outgoing]
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
