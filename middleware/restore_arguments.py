"""Gives actors the types that their hints say, instead of what JSON has."""

from __future__ import annotations

import logging
from typing import Any

import dramatiq
from dramatiq.middleware import Middleware, SkipMessage

from middleware.failure import Failure, Reason, give_up

log = logging.getLogger(__name__)


class ArgumentsRefused(SkipMessage):
    """A message's arguments do not fit its actor's hints; trying again would not mend them."""


class RestoreArguments(Middleware):
    """Restores the arguments of actors that have a ``restore`` method; a message that does not fit is dead-lettered."""

    def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        """Show the actor its arguments in the types it expects.

        Raises:
            ArgumentsRefused: they do not fit; the message is marked as failed.
        """
        restore = getattr(broker.actors.get(message.actor_name), "restore", None)
        if restore is None:
            return
        try:
            # Copies: an actor may change its lists and dicts, and is tried again with what was sent.
            args, kwargs = restore(tuple(map(_copy, message.args)), _copy(message.kwargs))
        except (TypeError, ValueError, RecursionError) as error:
            log.warning("message %s goes to the dead letters: %s", message.message_id, error)
            give_up(message, Failure.of(error, Reason.UNDECODABLE))
            raise ArgumentsRefused(str(error)) from error
        # Seen by the actor's call only: what a retry or a dead letter publishes is the message as it came.
        message.args, message.kwargs = args, kwargs


def _copy(value: Any) -> Any:
    """Return *value*, of JSON's types, with lists and dicts of its own."""
    if type(value) is dict:
        return {key: _copy(part) for key, part in value.items()}
    return [_copy(part) for part in value] if type(value) is list else value
