"""What became of each attempt of a message; it travels with the message, and is shown in its dead letter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dramatiq

# A message without a limit of retries must not grow for ever: the first attempt is kept, and the last ones.
LONGEST = 20
# How many characters of an error.
LONGEST_ERROR = 200
# More retries than there can be; a store counts no further.
MOST = 2**31


def trail_of(message: dramatiq.Message[Any] | dramatiq.MessageProxy) -> Sequence[dict[str, Any]]:
    """Return the attempts of *message* that failed, oldest first.

    Each has ``attempt``, its number; ``at``, when it ended, in milliseconds since the Unix epoch; ``error``; ``by``,
    who decided; ``delay``, the pause that followed, in milliseconds, or ``reason``, why no attempt did; and ``why``,
    where there is more to say.
    """
    attempts = message.options.get("attempts")
    return [each for each in attempts if isinstance(each, dict)] if isinstance(attempts, list) else ()


def retries_of(message: dramatiq.Message[Any] | dramatiq.MessageProxy) -> int:
    """Return how many attempts of *message* have failed; what another producer may have put there is none."""
    retries = message.options.get("retries")
    return retries if type(retries) is int and 0 <= retries <= MOST else 0


def note(message: dramatiq.MessageProxy, entry: dict[str, Any]) -> None:
    """Add *entry* to the attempts of *message*."""
    attempts = [*trail_of(message), {name: value for name, value in entry.items() if value not in (None, "")}]
    if len(attempts) > LONGEST:
        del attempts[1 : len(attempts) - LONGEST + 1]
    message.options["attempts"] = attempts
