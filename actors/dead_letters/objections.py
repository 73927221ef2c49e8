"""What speaks against the replay of a dead letter, and the message that it is a replay of."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import dramatiq
from dramatiq.errors import BrokerConnectionError, BrokerError, DecodeError

from actors.brokers.broker import Broker
from actors.brokers.delivery import well_formed
from actors.brokers.engine import Engine
from actors.brokers.outgoing import Following, Outgoing
from actors.dead_letters.buried import Buried
from actors.encoding import check_size
from actors.errors import ActorsError, NotEncodable
from middleware.failure import Reason
from middleware.letter import replayed
from middleware.suggestion import did_you_mean


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a dead letter is kept.

    Attributes:
        kind: one word for it, to count by: ``undecodable``, ``unknown_actor``, ``arguments``, ``conflict``,
            ``too_large`` or ``refused``.
        why: in words.
        yields: whether it may be replayed all the same, by force.
    """

    kind: str
    why: str
    yields: bool = True


class Examiner:
    """Says of dead letters whether they can be replayed, and as what.

    Args:
        broker: knows the actors of today, and where their messages go.
        force: let objections yield that can.
    """

    def __init__(self, broker: Broker[Engine], *, force: bool) -> None:
        self._broker = broker
        self._force = force

    def examine(self, buried: Buried) -> Outgoing | Objection:
        """Return the message to send again, or why not to."""
        try:
            message = well_formed(dramatiq.Message.decode(buried.body))
        except (DecodeError, TypeError) as error:
            return Objection("undecodable", f"it can't be decoded: {error}", yields=False)
        if not self._force and (objection := self._objection(buried, message)) is not None:
            return objection
        now = time.time_ns() // 1_000_000
        again = replace(message, queue_name=self._queue(buried, message), **replayed(message, now=now))
        try:
            body = again.encode()
        except ActorsError as error:
            return Objection("undecodable", str(error), yields=False)
        try:
            if not self._force:
                check_size(body, self._broker.max_message_bytes, again.actor_name)
        except ActorsError as error:
            return Objection("too_large", str(error))
        return Outgoing(again, body, None, None)

    def following(self, outgoing: Outgoing) -> Following | Objection:
        """Return how the engine puts a message into its queue, or why it can't.

        Raises:
            BrokerConnectionError: the engine does not answer.
        """
        try:
            return self._broker.engine.following(outgoing)
        except BrokerConnectionError:
            raise
        except (BrokerError, NotEncodable) as error:
            return Objection("refused", str(error), yields=False)

    def _objection(self, buried: Buried, message: dramatiq.Message[Any]) -> Objection | None:
        actor = self._broker.actors.get(message.actor_name)
        if actor is None:
            hint = did_you_mean(message.actor_name, self._broker.actors)
            return Objection("unknown_actor", f"no loaded actor is named {message.actor_name!r}{hint}")
        if buried.letter.reason == Reason.CONFLICT:
            return Objection("conflict", "its idempotency key belongs to another message with other arguments")
        parameters = getattr(actor, "parameters", None)
        if parameters is not None:  # an actor of plain Dramatiq has none
            try:
                parameters.check(message.args, message.kwargs)
                parameters.restore(message.args, message.kwargs)
            except ActorsError as error:
                return Objection("arguments", str(error))
        return None

    def _queue(self, buried: Buried, message: dramatiq.Message[Any]) -> str:
        """Return the logical queue in which workers look for *message*: where it died, or its actor's of today."""
        actor = self._broker.actors.get(message.actor_name)
        return buried.queue if actor is None or buried.queue in self._broker.queues else actor.queue_name
