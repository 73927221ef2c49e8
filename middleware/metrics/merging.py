"""Many files become one, and a process that is killed in between loses and doubles nothing."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from middleware.metrics.room import FIRST, reserve

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Merge:
    """What a merge that is written and not yet in place comes to; the journal says it.

    Attributes:
        new: the names of the merged files, by those that they have until they are in place.
        gone: the names of those whose numbers are in them.
    """

    new: Mapping[str, str]
    gone: Sequence[str]

    @classmethod
    def read(cls, journal: Path) -> Self | None:
        """Return what *journal* says; None where there is none."""
        try:
            return cls(**json.loads(journal.read_text()))
        except FileNotFoundError:
            return None

    def write(self, journal: Path) -> None:
        """Say in *journal* what is to be done; from here on it will be."""
        draft = journal.with_name(".new-journal")
        draft.write_text(json.dumps(asdict(self)))
        draft.replace(journal)

    def finish(self, folder: Path, journal: Path) -> None:
        """Do it, or what is left of it."""
        for draft, final in self.new.items():
            if (folder / draft).exists():
                (folder / draft).replace(folder / final)
        for name in self.gone:
            (folder / name).unlink(missing_ok=True)
        journal.unlink()


def merge_into(file: Path, sources: Iterable[Path]) -> None:
    """Write the sums of all numbers in *sources* to *file*."""
    from prometheus_client.mmap_dict import MmapedDict

    sums: dict[str, float] = {}
    size = 0
    for source in sources:
        size += source.stat().st_size
        for key, value in _read(source):
            sums[key] = sums.get(key, 0.0) + value
    file.unlink(missing_ok=True)
    with file.open("xb") as made:
        reserve(made.fileno(), max(FIRST, size))
    merged = MmapedDict(os.fspath(file))
    for key, value in sums.items():
        merged.write_value(key, value, 0.0)
    merged.close()


def _read(source: Path) -> list[tuple[str, float]]:
    from prometheus_client.mmap_dict import MmapedDict

    try:
        found = MmapedDict.read_all_values_from_file(os.fspath(source))
        return [(key, value) for key, value, _, _ in found]
    except Exception as error:
        # As it may be after a machine has lost its power. It must not keep all others from being read.
        log.error("%s can't be read, and is left out: %r", source, error)
        return []
