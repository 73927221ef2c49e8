"""Notes that a message is to be aborted, which a store keeps until whoever has the message finds them."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

# How long a note is kept at least: as long as the longest delay, and a day.
NOTE_MS = 367 * 86_400_000
# So many notes are kept at most; the newest.
MOST_NOTES = 100_000


class Abort(StrEnum):
    """What was known of a message when it was aborted.

    ``WAITING``: it has not started, or waits to be tried again, and will not run. ``RUNNING``: its attempt is
    interrupted; one that ends before that has won. ``ENDED``: it was done, had failed for good or was parked already,
    and nothing has changed. ``UNKNOWN``: nothing is known of it here. If it waits, it will not run; if it has no key,
    and runs, it is interrupted.
    """

    WAITING = "waiting"
    RUNNING = "running"
    ENDED = "ended"
    UNKNOWN = "unknown"


class Notes(Protocol):
    """The part of a store that is of messages to be aborted."""

    def abort(self, message_id: str, digests: Sequence[str]) -> Abort:
        """Note that a message is to be aborted, unless it has ended; it can be repeated.

        A request for a key meets the note, and one that is met by it gets the verdict ``ABORTED``. Where the message
        holds the key, or nobody does, the record says so from then on, and the note is gone.

        Args:
            message_id: the message.
            digests: the keys that it may hold; the first that it does tells what became of it.
        """

    def aborts(self, after: int, *, limit: int = 1_000) -> list[tuple[str, int]]:
        """Return messages that are to be aborted, each with the number of its note, in their order.

        Args:
            after: only notes with a higher number. They are of the fencing tokens' numbers: a claim with a higher one
                was made after the note, and has met it.
            limit: how many to return at most.
        """
