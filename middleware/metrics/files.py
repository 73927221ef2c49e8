"""Numbers in files that all processes of an instance share the directory of."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from middleware.metrics.catalogue import Metric
from middleware.metrics.place import Place
from middleware.metrics.room import FIRST, make_room, reserve
from middleware.metrics.sink import SUM, Sample


@dataclass(slots=True)
class _Cell:
    """A number in a file: which, where, and what it is by now."""

    file: Any
    key: str
    value: float = 0.0


class Files:
    """Keeps numbers in files of prometheus_client's format, mapped into memory: SIGKILL takes nothing from them.

    The library's own metrics take one number at a time, and look at process id and lock for each.

    Args:
        place: where; this process has entered it.

    Raises:
        OSError: when a file can't be made.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self._forget()
        os.register_at_fork(after_in_child=self._forget)

    def add(self, amounts: Mapping[Sample, float]) -> None:
        """Add *amounts*; they are in the files when this returns."""
        with self._lock:
            for sample, amount in amounts.items():
                cell = self._cells.get(sample) or self._made(sample)
                cell.value += amount
                cell.file.write_value(cell.key, cell.value, 0.0)

    def close(self) -> None:
        """End it: from now on what it has kept is that of a process which has ended."""
        with self._lock:
            for file in self._files.values():
                file.close()
            self._files.clear()
            self._cells.clear()

    def _made(self, sample: Sample) -> _Cell:
        # All of a histogram: where one bucket is missing, those who read take it for another.
        for bucket in (SUM, *range(len(sample.metric.buckets))) if sample.metric.buckets else (sample.bucket,):
            each, file = sample._replace(bucket=bucket), self._file(sample.metric.kind)
            if each in self._cells:
                continue  # the disk was full before it had all of them
            make_room(file)
            cell = self._cells[each] = _Cell(file, _key(each))
            cell.file.write_value(cell.key, 0.0, 0.0)
        return self._cells[sample]

    def _file(self, kind: str) -> Any:
        if kind not in self._files:
            self._files[kind] = _make(self.place.path, kind)
        return self._files[kind]

    def _forget(self) -> None:
        # Of a child that was forked: its parent's files are its parent's.
        for file in vars(self).get("_files", {}).values():
            with suppress(Exception):
                file.close()
        self._lock = threading.Lock()
        self._files: dict[str, Any] = {}
        self._cells: dict[Sample, _Cell] = {}


def _make(folder: Path, kind: str) -> Any:
    """Return a new file, which is taken for that of a process that lives as long as this one does."""
    from prometheus_client.mmap_dict import MmapedDict

    name = f"{kind}_actors-{os.getpid()}-{secrets.token_hex(6)}"
    draft = folder / f".new-{name}"
    with draft.open("xb") as made:
        reserve(made.fileno(), FIRST)
    file = MmapedDict(os.fspath(draft))
    fcntl.flock(file._f, fcntl.LOCK_EX)
    draft.replace(folder / f"{name}.db")
    return file


def _key(sample: Sample) -> str:
    """Return what prometheus_client calls a number in a file."""
    metric, labels = sample.metric, dict(zip(sample.metric.labels, sample.labels, strict=True))
    return json.dumps([metric.name, *_sample(metric, labels, sample.bucket), metric.help], sort_keys=True)


def _sample(metric: Metric, labels: dict[str, str], bucket: int) -> tuple[str, dict[str, str]]:
    from prometheus_client.utils import floatToGoString

    if metric.kind == "counter":
        return f"{metric.name}_total", labels
    if bucket == SUM:
        return f"{metric.name}_sum", labels
    return f"{metric.name}_bucket", labels | {"le": floatToGoString(metric.buckets[bucket])}
