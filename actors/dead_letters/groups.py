"""Dead letters that died of the same error, together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from actors.brokers.looked import Looked
from actors.dead_letters.selection import Dead

# How many groups are kept apart; the letters of further ones are counted together.
MOST = 1_000


@dataclass(frozen=True, slots=True)
class Group:
    """Dead letters of one actor that died of the same error, for the same reason.

    Attributes:
        fingerprint: of the error.
        actor, reason, error_type: of all of them.
        count: how many there are.
        first, last: when the first and the last of them died, in milliseconds since the Unix epoch.
        example: the one that was met last.
    """

    fingerprint: str
    actor: str
    reason: str
    error_type: str
    count: int
    first: int
    last: int
    example: Dead


@dataclass(frozen=True, slots=True)
class Groups:
    """All groups of some dead letters.

    Attributes:
        groups: the largest first.
        count: how many letters there are.
        others: how many of them belong to further groups, beyond the first 1,000.
        looked: how far each queue was looked into.
    """

    groups: Sequence[Group]
    count: int
    others: int
    looked: Sequence[Looked]


class Grouping:
    """Sorts letters into groups.

    Attributes:
        count: how many there were.
    """

    def __init__(self) -> None:
        self.count = 0
        self._others = 0
        self._groups: dict[tuple[str, str, str, str], _Growing] = {}

    def see(self, dead: Dead) -> None:
        """Count a letter."""
        letter = dead.letter
        self.count += 1
        kind = (letter.fingerprint, letter.actor, letter.reason, letter.error_type)
        group = self._groups.get(kind)
        if group is None and len(self._groups) < MOST:
            group = self._groups[kind] = _Growing(dead)
        if group is None:
            self._others += 1
        else:
            group.add(dead)

    def groups(self, looked: Sequence[Looked]) -> Groups:
        """Return all groups."""
        found = [group.group(*kind) for kind, group in self._groups.items()]
        found.sort(key=lambda group: (-group.count, group.fingerprint, group.actor))
        return Groups(found, self.count, self._others, looked)


class _Growing:
    def __init__(self, first: Dead) -> None:
        self._count = 0
        self._first = self._last = first.letter.died
        self._newest = first

    def add(self, dead: Dead) -> None:
        died = dead.letter.died
        self._count += 1
        self._first, self._last = min(self._first, died), max(self._last, died)
        self._newest = dead

    def group(self, fingerprint: str, actor: str, reason: str, error_type: str) -> Group:
        return Group(fingerprint, actor, reason, error_type, self._count, self._first, self._last, self._newest)
