"""What the actor ``record`` did."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Journal:
    """The lines that ``record`` has written: number, time in seconds since the Unix epoch, whether it maybe ran."""

    path: Path

    def runs(self) -> Counter[int]:
        return Counter(number for number, _, _ in self._lines())

    def unaware(self) -> Counter[int]:
        """How often each number ran without being told that it may have run before."""
        return Counter(number for number, _, maybe_ran in self._lines() if not maybe_ran)

    def first_runs(self) -> dict[int, float]:
        """When each number ran first, in seconds since the Unix epoch."""
        return {number: at for number, at, _ in reversed(self._lines())}

    def reaches(self, count: int) -> bool:
        return len(self.runs()) > count

    def _lines(self) -> list[tuple[int, float, bool]]:
        # A reader can come upon the first half of a line that goes over the end of a page.
        text = self.path.read_text() if self.path.exists() else ""
        lines = text.rpartition("\n")[0].splitlines()
        return [(int(number), float(at), maybe_ran == "True") for number, at, maybe_ran in map(str.split, lines)]
