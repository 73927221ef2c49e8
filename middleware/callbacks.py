"""Tells other actors how a message ended."""

from __future__ import annotations

import uuid
from typing import Any

import dramatiq
from dramatiq.middleware import Callbacks as DramatiqCallbacks

_CALLBACKS = uuid.UUID("2c0d6d0a-5a56-5bb0-9c8e-0d6d2f2a7c41")


class Callbacks(DramatiqCallbacks):
    """Dramatiq's success and failure callbacks, whose message ids follow from that of the message.

    A message that comes again after its work was done sends its callback again. By the id the copy is known as one,
    and the callback's actor runs once.
    """

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: dramatiq.MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        """Send the message and its outcome to the actor that waits for them, if there is one."""
        if exception is not None:
            # Retries counts an attempt before this, but not one that it gives up at once: the flag keeps the two apart.
            attempt = f"{message.options.get('retries', 0)} {message.failed}"
            outcome = {"type": type(exception).__name__, "message": str(exception)}
            _send(broker, message, "on_failure", outcome, attempt=attempt)
        elif not message.failed:
            _send(broker, message, "on_success", result)


def _send(
    broker: dramatiq.Broker, message: dramatiq.MessageProxy, option: str, outcome: object, *, attempt: str = ""
) -> None:
    name = message.options.get(option) or broker.get_actor(message.actor_name).options.get(option)
    if name:
        callback = broker.get_actor(name).message(message.asdict(), outcome)
        message_id = uuid.uuid5(_CALLBACKS, f"{message.message_id} {option} {attempt}")
        broker.enqueue(callback.copy(message_id=str(message_id)))
