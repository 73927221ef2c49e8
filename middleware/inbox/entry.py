"""What the user's code has of a key while its transaction is open."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Generic, TypeVar

import dramatiq

from middleware.inbox.database import InboxMisused
from middleware.options import milliseconds

C = TypeVar("C")
R = TypeVar("R")


class Entry(Generic[C]):
    """A key, in the transaction that has inserted it.

    Args:
        connection: what ``begin()`` gave.
        first: whether there is work to do.
        store: stores a message, with its number and its delay in milliseconds.

    Attributes:
        first: whether no transaction with the key was committed before; only then is there work to do.
        stored: how many messages were stored.
    """

    def __init__(
        self, connection: C, *, first: bool, store: Callable[[int, dramatiq.Message[Any], int | None], None]
    ) -> None:
        self.first = first
        self.stored = 0
        self._is_open = first
        self._connection = connection
        self._store = store

    @property
    def connection(self) -> C:
        """What ``begin()`` gave: what is done there is committed together with the key.

        Raises:
            InboxMisused: the key is not the first, or the block is over.
        """
        self._check()
        return self._connection

    def send(self, message: dramatiq.Message[R], *, delay: timedelta | int | None = None) -> dramatiq.Message[R]:
        """Store *message* in the transaction, to be sent once that is committed; return it.

        Args:
            message: such as ``ship.message(42)``.
            delay: how long from now on to wait before it may run; an int is milliseconds.

        Raises:
            InboxMisused: as for :attr:`connection`.
            InvalidKey: its idempotency key can't be made. What its encoder raises is raised here, too.
        """
        self._check()
        delay_ms = milliseconds(delay) if isinstance(delay, timedelta) else delay
        self._store(self.stored, message, delay_ms)
        self.stored += 1
        return message

    def close(self) -> None:
        """Allow nothing more: the transaction ends."""
        self._is_open = False

    def _check(self) -> None:
        if not self._is_open:
            raise InboxMisused(
                "inbox: this key was entered before, or its block is over; use entry.connection and entry.send() in "
                "the block of enter() only, and only if entry.first is True"
            )
