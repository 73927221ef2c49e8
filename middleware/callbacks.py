"""Tells other actors how a message ended."""

from __future__ import annotations

import uuid
from dataclasses import asdict
from typing import Any

import dramatiq
from dramatiq.middleware import Middleware, MiddlewareError

from middleware.aborted import is_aborted
from middleware.failure import failure_of
from middleware.suggestion import did_you_mean
from middleware.trail import retries_of

_CALLBACKS = uuid.UUID("2c0d6d0a-5a56-5bb0-9c8e-0d6d2f2a7c41")


# No MiddlewareError: one from before_nack would keep Dramatiq's worker from settling the message.
class NotTold(Exception):
    """Who waits for the end of a message can't be told of it."""


class Callbacks(Middleware):
    """Sends a message and its outcome to the actors that wait for them, when it has ended; in place of Dramatiq's.

    ``on_success`` is sent when it is done, and ``on_failure`` when it has failed for good, however that came, or was
    aborted. An attempt that is tried again is no end.

    A message that comes again after its end sends its callbacks again. Their message ids follow from that of the
    message, so that a copy is known as one, and the callback's actor runs once.
    """

    @property
    def actor_options(self) -> set[str]:
        """The options that actors and messages have for it."""
        return {"on_success", "on_failure"}

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: dramatiq.MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        """Tell who waits for the success of *message*, or for its failure if it was aborted."""
        if exception is None and not message.failed:
            tell(broker, message, "on_success", result)
        else:
            self.after_skip_message(broker, message)

    def after_skip_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        """Tell who waits for the failure of *message* that it was aborted: it is no dead letter, and is not nacked."""
        if is_aborted(message):
            tell(broker, message, "on_failure", asdict(failure_of(message)))

    def before_nack(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        """Tell who waits for the failure of *message*: whatever fails for good passes here."""
        tell(broker, message, "on_failure", asdict(failure_of(message)))


def tell(broker: dramatiq.Broker, message: dramatiq.MessageProxy, option: str, outcome: object) -> None:
    """Send *message* and *outcome* to the actor that *option* names, of the message or else of its actor.

    Raises:
        NotTold: there is no such actor, or a middleware refuses what it is sent.
    """
    # The message of an unknown actor may have options all the same.
    actor = broker.actors.get(message.actor_name)
    name = message.options.get(option) or (actor.options.get(option) if actor is not None else None)
    if name:
        told = broker.actors.get(name) if isinstance(name, str) else None
        if told is None:
            hint = did_you_mean(str(name), broker.actors)
            raise NotTold(f"message {message.message_id}: no actor has the name that {option}={name!r} says{hint}")
        callback = told.message(message.asdict(), outcome)
        # A message succeeds once; a dead letter that is replayed can fail again, with more retries behind it. A copy of
        # one that is done may be that of an earlier attempt.
        end = "" if option == "on_success" else retries_of(message)
        message_id = uuid.uuid5(_CALLBACKS, f"{message.message_id} {option} {end}")
        try:
            broker.enqueue(callback.copy(message_id=str(message_id), options={"follows": message.message_id}))
        except MiddlewareError as error:
            raise NotTold(f"message {message.message_id}: {option}={name!r} can't be told: {error}") from error
