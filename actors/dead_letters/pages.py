"""A page of dead letters, and how the place where the next one begins is written."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from actors.brokers.looked import Looked
from actors.dead_letters.selection import Dead


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the dead letters.

    Attributes:
        letters: queue by queue, and of each the oldest first.
        following: what to give as *after* for the next page; empty if there is none.
        looked: how far each queue was looked into.
    """

    letters: Sequence[Dead]
    following: str
    looked: Sequence[Looked]


def cursor(values: Sequence[str | int]) -> str:
    """Return *values*, which say where a page begins, as text."""
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode()


def read_cursor(text: str, kinds: Sequence[type[str] | type[int]]) -> list[Any]:
    """Return the values that *text* was made of.

    Raises:
        ValueError: it was not made of values of these *kinds*.
    """
    values = json.loads(base64.urlsafe_b64decode(text.encode()))
    if not isinstance(values, list) or [type(value) for value in values] != list(kinds):
        raise ValueError("no place")
    return values
