"""Values of labels, of which there are never too many."""

from __future__ import annotations

from dramatiq.common import q_name

# How many actors, and how many queues, have a label of their own.
MOST = 1_000

UNKNOWN, OTHER = "unknown", "other"


class Labels:
    """What actors, or queues, are called in labels.

    What other producers send may name anything. Only what is declared has a label.

    Args:
        most: how many have one.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._known: dict[str, str] = {}

    def declare(self, name: str) -> None:
        """Let *name* have a label."""
        self._known.setdefault(name, name if len(self._known) < self._most else OTHER)

    def __getitem__(self, name: object) -> str:
        """Return the label of *name*."""
        if not isinstance(name, str):
            return UNKNOWN
        return self._known.get(name) or self._known.get(q_name(name), UNKNOWN)
