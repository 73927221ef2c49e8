"""What is said of a message that was aborted."""

from __future__ import annotations

from dataclasses import asdict

import dramatiq
from dramatiq.middleware import Interrupt

from middleware.failure import Failure

# The reason that its failure gives; it is no dead letter, so that it is none of theirs.
REASON = "aborted"


class Aborted(Interrupt):
    """Somebody has aborted the message whose attempt runs here."""


def note_aborted(message: dramatiq.MessageProxy) -> None:
    """Note that *message* ends because it was aborted: it is not tried again, and no dead letter."""
    vars(message)["aborted"] = True
    message.options["failure"] = asdict(Failure(REASON, "Aborted", f"message {message.message_id} was aborted"))


def is_aborted(message: dramatiq.MessageProxy) -> bool:
    """Return whether *message* ends because it was aborted."""
    return "aborted" in vars(message)
