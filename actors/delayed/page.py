"""What is said of delayed messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from actors.brokers.inquiry import Delayed, Found
from actors.brokers.walk import Looked


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the delayed messages.

    Attributes:
        messages: the soonest due first.
        following: what to give as *after* for the next page; empty if there is none.
        looked: how far each hold queue was looked into; a file has none.
        silent: how many relays did not answer; what they keep is missing.
    """

    messages: Sequence[Delayed]
    following: str
    looked: Sequence[Looked]
    silent: int


@dataclass(frozen=True, slots=True)
class Dealt:
    """What became of messages that were named.

    Attributes:
        found: those that were found, and copies of them, each with its problem if it could not be dealt with.
        missing: the ids that were not found.
        looked: how far each hold queue was looked into; a file has none.
        silent: how many relays did not answer; what they keep was not looked at.
    """

    found: Sequence[Found]
    missing: Sequence[str]
    looked: Sequence[Looked]
    silent: int
