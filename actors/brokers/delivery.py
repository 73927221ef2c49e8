"""A message as RabbitMQ delivered it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import dramatiq
from dramatiq.middleware import Middleware, SkipMessage

from actors.brokers.outgoing import Following
from actors.errors import ActorsError
from middleware.guarded import Guarded

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Epoch:
    """The life of one channel; what it delivered belongs to somebody else once it is over."""

    over: bool = False


class Delivery(dramatiq.MessageProxy):
    """A message as RabbitMQ delivered it.

    Attributes:
        concludes: what follows an attempt waits in *outbox* until its outcome is recorded.
        redelivered: it was delivered before and never acked.
        requeue: set when it is to go back to its queue instead of being acked.
        outbox: what the hooks of its attempt have enqueued.
        guarded: what the idempotency guard knows of it.
        epoch, tag: which delivery this is; good only on the channel of that epoch.
        body: the bytes that were delivered.
    """

    concludes = True

    def __init__(
        self, message: dramatiq.Message[Any], *, redelivered: bool, epoch: Epoch, tag: int, body: bytes
    ) -> None:
        super().__init__(message)
        # Hooks read these some twenty times a message, and each look through the proxy costs half a microsecond.
        self.queue_name, self.actor_name, self.message_id = message.queue_name, message.actor_name, message.message_id
        self.args, self.kwargs, self.options = message.args, message.kwargs, message.options
        self.redelivered = redelivered
        self.requeue = False
        self.outbox: list[Following] = []
        self.guarded: Guarded | None = None
        self.epoch = epoch
        self.tag = tag
        self.body = body
        self._traceback: TracebackType | None = None

    def stuff_exception(self, exception: BaseException) -> None:
        """Note the error of the attempt, and its traceback, which Sentry's middleware takes away from it."""
        super().stuff_exception(exception)
        self._traceback = exception.__traceback__

    def clear_exception(self) -> None:
        """Forget the error of the attempt, unless it is yet to be reported; Dramatiq's worker would not wait."""
        if not self.failed:
            self.take_error()

    def take_error(self) -> BaseException | None:
        """Return the error of the attempt, and hold it no longer: an idle worker thread keeps its last message."""
        error, self._exception = self._exception, None
        traceback, self._traceback = self._traceback, None
        return error.with_traceback(traceback) if error is not None else None


class DropStale(Middleware):
    """Skips messages whose channel has ended before they could start: RabbitMQ delivers them again, to somebody."""

    def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        """Raise SkipMessage where running *message* would be one run too many."""
        if isinstance(message, Delivery) and message.epoch.over:
            message.requeue = True
            raise SkipMessage(f"message {message.message_id} is delivered again: its channel has ended")


def well_formed(message: dramatiq.Message[Any]) -> dramatiq.Message[Any]:
    """Return *message*.

    Raises:
        TypeError: a field has a type on which Dramatiq's consumer would fail, and be delivered it again, for ever.
    """
    texts = (message.queue_name, message.actor_name, message.message_id)
    if all(isinstance(text, str) for text in texts) and type(message.kwargs) is type(message.options) is dict:
        return message
    raise TypeError(f"not a message: {message!r}")


def last_body(delivery: Delivery) -> bytes:
    """Return *delivery* as its dead letter has it, with its failure."""
    message = delivery._message
    try:
        return message.encode()
    except ActorsError as error:
        log.warning("message %s: what its attempts have left in it can't be encoded: %s", delivery.message_id, error)
    # As it came, and with what is known to be text.
    noted = {name: message.options[name] for name in ("failure", "traceback")}
    try:
        return dramatiq.Message.decode(delivery.body).copy(queue_name=message.queue_name, options=noted).encode()
    except ActorsError:
        # Another producer has sent what we would not; its header says the rest.
        return delivery.body
