"""What may have been meant by a name that nobody knows."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: str, known: Iterable[str], *, prefix: str = "") -> str:
    """Return ``", did you mean 'x'?"`` for the known name closest to *name*, or an empty string.

    A *prefix* that all of them have makes none of them closer.
    """
    close = get_close_matches(name.removeprefix(prefix), [each.removeprefix(prefix) for each in known], n=1, cutoff=0.6)
    return f", did you mean {prefix + close[0]!r}?" if close else ""
