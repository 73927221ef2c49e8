"""Puts dead letters of an archive back among the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Protocol

from actors.dead_letters.archive import Archived, BadLine, read_line
from middleware import Letter
from middleware.letter import now_ms

# How many lines are in memory, and are put back together.
CHUNK = 500


@dataclass(frozen=True, slots=True)
class Restored:
    """How far an import came.

    Attributes:
        restored: how many letters were put back, durable.
        present: how many are there already.
        expired: how many were past their retention.
        bad: how many lines can't be read.
        lines: how many lines were dealt with.
    """

    restored: int = 0
    present: int = 0
    expired: int = 0
    bad: int = 0
    lines: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportTerms:
    """How letters are put back.

    Attributes:
        fresh: keep each for the retention of today's setting, in place of what is left of its own.
        bad: called with the number of each line that can't be read, and why.
        restored: called with each letter that was put back.
        go_on: called after each chunk with how far it came; returns whether to go on.
    """

    fresh: bool = False
    bad: Callable[[int, str], object] = lambda number, why: None
    restored: Callable[[Letter], object] = lambda letter: None
    go_on: Callable[[Restored], bool] = lambda so_far: True


class Ground(Protocol):
    """Where letters are put back."""

    def put_back(self, archived: Sequence[Archived], choose: Choose) -> Iterator[Archived]:
        """Put back those of *archived* that *choose* wants; yield each that is durable.

        Raises:
            ConnectionFailed: some are not known to be.
        """


class Choose(Protocol):
    """Says what becomes of a letter of an archive."""

    def __call__(self, archived: Archived, *, is_present: bool) -> bool:
        """Return whether to put *archived* back, where *is_present* says whether it is there already."""


class Restoring:
    """One import.

    Args:
        ground: where letters are put back.
        terms: how it is done.
    """

    def __init__(self, ground: Ground, terms: ImportTerms) -> None:
        self._ground = ground
        self._terms = terms
        self._so_far = Restored()

    def run(self, lines: Iterable[str | bytes]) -> Restored:
        """Put back the letters of *lines*; return how far that came.

        Raises:
            ConnectionFailed: some letters are not known to be durable. The same import may be run again: it puts back
                what is missing.
        """
        numbered = enumerate(lines, start=1)
        while chunk := list(islice(numbered, CHUNK)):
            for archived in self._ground.put_back(list(self._read(chunk)), self._is_wanted):
                self._so_far = replace(self._so_far, restored=self._so_far.restored + 1)
                self._terms.restored(archived.letter)
            self._so_far = replace(self._so_far, lines=chunk[-1][0])
            if not self._terms.go_on(self._so_far):
                break
        return self._so_far

    def _read(self, chunk: Iterable[tuple[int, str | bytes]]) -> Iterator[Archived]:
        """Yield what can be read of *chunk*."""
        for number, line in chunk:
            if not line.strip():
                continue
            try:
                yield read_line(line)
            except BadLine as error:
                self._so_far = replace(self._so_far, bad=self._so_far.bad + 1)
                self._terms.bad(number, str(error))

    def _is_wanted(self, archived: Archived, *, is_present: bool) -> bool:
        if is_present:
            self._so_far = replace(self._so_far, present=self._so_far.present + 1)
            return False
        if not self._terms.fresh and archived.expires is not None and archived.expires <= now_ms():
            self._so_far = replace(self._so_far, expired=self._so_far.expired + 1)
            return False
        return True
