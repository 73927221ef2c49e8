"""Calls middleware hooks, and only those that some middleware overrides."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import dramatiq
from dramatiq.errors import BrokerConnectionError
from dramatiq.middleware import Interrupt, Middleware, MiddlewareError

from actors.encoding import check_size
from actors.errors import ActorsError
from middleware import Attempts, DeadLetter, Guard, Idempotency, Tracing
from middleware.failure import Failure, Reason, give_up
from middleware.stores import StoreUnavailable
from middleware.trail import trail_of

log = logging.getLogger(__name__)


class Dispatch(dramatiq.Broker):
    """A broker whose signals cost nothing where no middleware listens, and whose failing hooks lose no message.

    Dramatiq logs what an after-hook raises and goes on to ack the message, so that a retry that could not be
    published, or a predicate that raised, loses it. Here such a message is requeued or dead-lettered instead.

    What the after-hooks of an attempt enqueue is held back in the ``outbox`` of its delivery. Its consumer publishes it
    once the outcome of the attempt is recorded: nothing follows an attempt that turns out not to count.
    """

    _hooks: dict[str, list[Callable[..., None]]]
    _hooks_of = -1

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._ending = threading.local()
        self._dead_letter = DeadLetter()
        super().__init__(*args, **kwargs)

    @property
    def outbox(self) -> list[Any] | None:
        """Where what is enqueued in this thread has to wait; None while no attempt ends here."""
        return getattr(self._ending, "outbox", None)

    @property
    def guard(self) -> Guard | None:
        """What asks for idempotency keys; None where no idempotency middleware is in use."""
        return next((each.guard for each in self.middleware if isinstance(each, Idempotency)), None)

    def tell_attempts(self) -> None:
        """Tell who wants to know of all attempts that have ended; before any of them is recorded or acked."""
        for each in self.middleware:
            if isinstance(each, Attempts):
                each.tell()

    def tell_refused(self, messages: Iterable[dramatiq.Message[Any]], error: BaseException) -> None:
        """Tell who wants to know that *messages* are not known to be sent, because of *error*."""
        for each in self.middleware:
            if isinstance(each, Tracing):
                each.refused(messages, error)

    @property
    def dead_letter(self) -> DeadLetter:
        """What a dead letter is to say; it is told of each that is forwarded."""
        return next((each for each in self.middleware if isinstance(each, DeadLetter)), self._dead_letter)

    @property
    def max_message_bytes(self) -> int:
        """How large an encoded message may be."""
        raise NotImplementedError

    def encoded(self, message: dramatiq.Message[Any]) -> bytes:
        """Return *message* as it is sent.

        Raises:
            NotEncodable, MessageTooLarge: it can't be sent.
        """
        body = message.encode()
        # One that has been accepted is not refused for what its attempts have added, nor is the report of its end.
        if not trail_of(message) and "follows" not in message.options:
            check_size(body, self.max_message_bytes, message.actor_name)
        return body

    def emit_before(self, signal: str, *args: Any, **kwargs: Any) -> None:
        """Call ``before_<signal>`` of each middleware, first to last; only a ``MiddlewareError`` stops it."""
        hooks = self._listening("before_" + signal)
        if signal == "nack":
            self._end(hooks, *args)
            return
        for hook in hooks:
            try:
                hook(self, *args, **kwargs)
            except MiddlewareError:
                raise
            except Exception:
                log.critical("unexpected failure in %r", hook, exc_info=True)

    def emit_after(self, signal: str, *args: Any, **kwargs: Any) -> None:
        """Call ``after_<signal>`` of each middleware, last to first, whatever the others raise."""
        hooks = reversed(self._listening("after_" + signal))
        if signal in ("process_message", "skip_message"):
            self._end(hooks, *args, **kwargs)
            return
        for hook in hooks:
            try:
                hook(self, *args, **kwargs)
            except Exception:
                log.critical("unexpected failure in %r", hook, exc_info=True)

    def _end(self, hooks: Iterable[Callable[..., None]], message: dramatiq.MessageProxy, **outcome: Any) -> None:
        """Call the *hooks* of an attempt that ends; hold back what they enqueue, and lose nothing where they fail."""
        outbox = self._ending.outbox = getattr(message, "outbox", None)
        errors: list[BaseException] = []
        try:
            for hook in hooks:
                try:
                    hook(self, message, **outcome)
                except (Exception, Interrupt) as error:
                    errors.append(error)
                    # What ends its message is reported with the dead letter.
                    level = logging.WARNING if _keep(message, error) else logging.CRITICAL
                    log.log(level, "unexpected failure in %r", hook, exc_info=True)
        finally:
            self._ending.outbox = None
        if errors and outcome.get("exception") is not None and not _has_an_end(message, outbox or ()):
            give_up(message, Failure.of(errors[0]))

    def _listening(self, name: str) -> list[Callable[..., None]]:
        # Middleware is also inserted into the list directly, by error trackers for example.
        if self._hooks_of != len(self.middleware):
            self._hooks, self._hooks_of = {}, len(self.middleware)
        try:
            return self._hooks[name]
        except KeyError:
            return self._hooks.setdefault(name, list(_overriding(name, self.middleware)))


def _overriding(name: str, middleware: list[Middleware]) -> Iterator[Callable[..., None]]:
    inherited = getattr(Middleware, name, None)
    for each in middleware:
        hook = getattr(each, name, None)
        if hook is not None and getattr(hook, "__func__", hook) is not inherited:
            yield hook


def _keep(message: dramatiq.MessageProxy, error: BaseException) -> bool:
    """See that *message*, whose after-hook raised *error*, is not acked while what follows it is nowhere.

    Whether a failed attempt is tried again is for Retries to say: another hook that raises neither ends the message nor
    doubles it.

    Returns:
        Whether *error* has ended the message.
    """
    if isinstance(error, BrokerConnectionError | StoreUnavailable | Interrupt):
        # What follows it (a retry, a callback, the next of a pipeline) was not published, or an interrupt that the
        # actor was meant to get came late: let it run again.
        message.requeue = True  # type: ignore[attr-defined]
    elif isinstance(error, ActorsError) and not message.failed:
        # A success whose next message can't be sent at all.
        give_up(message, Failure.of(error, Reason.TOO_LARGE))
        return True
    return False


def _has_an_end(message: dramatiq.MessageProxy, outbox: Iterable[Any]) -> bool:
    """Return whether it is settled what becomes of *message*, whose attempt has failed."""
    if message.failed or getattr(message, "requeue", False):
        return True
    sent = (each.message for each in outbox if each.message is not None)
    return any(each.message_id == message.message_id for each in sent)
