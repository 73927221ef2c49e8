"""The directory in which the processes of an instance keep their numbers, and what remains of those that have ended."""

from __future__ import annotations

import fcntl
import logging
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from middleware.metrics.merging import Merge, merge_into

log = logging.getLogger(__name__)

# How long the others may hold the lock, in seconds; they read and merge some files under it.
LOCKED_FOR_S = 5.0
# What was being made for so long never will be, in seconds.
FORSAKEN_AFTER_S = 60.0

# Ours, of a process that holds a lock on it; and those that prometheus_client makes for an application.
_OURS = re.compile(r"(?P<kind>counter|histogram)_actors-\d+-[0-9a-f]+\.db")
_THEIRS = re.compile(r"(?P<kind>counter|histogram|summary|gauge_[a-z]+)_(?P<pid>\d+)\.db")
_MERGED = re.compile(r"(?P<kind>counter|histogram|summary)_merged-(?P<number>\d+)\.db")


class PlaceBusy(OSError):
    """Another process holds the lock of the directory for too long."""


class Place:
    """A directory of files in the format of prometheus_client's mode for many processes.

    What a process has counted stays when it ends, however it does. So that files do not pile up, those of processes
    that have ended become one for each kind of metric. A process that is killed in the middle of that loses nothing and
    doubles nothing: a journal says what is merged, and who comes next finishes the work.

    Args:
        path: is made if need be.

    Raises:
        OSError: from every method, when it can't be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._journal = path / "merging.json"

    def enter(self) -> None:
        """Begin to use it, before this process keeps anything in it.

        What has the id of this process was left by an earlier one.
        """
        with self._locked():
            self._tidy(former=os.getpid())

    def families(self) -> list[Any]:
        """Return all metrics in it, as prometheus_client has them."""
        from prometheus_client.multiprocess import MultiProcessCollector

        with self._locked():
            self._tidy()
            # One of the application's that is just being made has nothing in it yet.
            files = [str(each) for each in self._files() if each.stat().st_size]
            return list(MultiProcessCollector.merge(files))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        deadline = time.monotonic() + LOCKED_FOR_S
        lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise PlaceBusy(f"{self.path}: another process holds its lock") from None
                    time.sleep(0.005)
            yield
        finally:
            os.close(lock)

    def _tidy(self, *, former: int | None = None) -> None:
        """Finish what another has begun, and merge what ended processes have left; *former* is none that lives."""
        merge = Merge.read(self._journal)
        if merge is not None:
            merge.finish(self.path, self._journal)
        gone = [each for each in self._files() if self._has_ended(each, former)]
        if gone:
            self._merge(gone)
        for each in self.path.glob(".new-*"):
            with suppress(OSError):
                if time.time() - each.stat().st_mtime > FORSAKEN_AFTER_S:
                    each.unlink()

    def _merge(self, gone: list[Path]) -> None:
        merged = {each: found for each in self._files() if (found := _MERGED.fullmatch(each.name))}
        number = 1 + max((int(found["number"]) for found in merged.values()), default=0)
        sources: dict[str, list[Path]] = {}
        for each in [*merged, *gone]:
            kind = each.name.partition("_")[0]
            # What an application's gauge has shown is over.
            sources.setdefault(kind, []).append(each)
        sources.pop("gauge", None)
        new = {}
        for kind, files in sources.items():
            draft, final = f".new-merged-{kind}", f"{kind}_merged-{number}.db"
            merge_into(self.path / draft, files)
            new[draft] = final
        merge = Merge(new, [each.name for each in [*merged, *gone]])
        merge.write(self._journal)
        merge.finish(self.path, self._journal)

    def _files(self) -> list[Path]:
        return sorted(self.path.glob("*.db"))

    def _has_ended(self, file: Path, former: int | None) -> bool:
        if _OURS.fullmatch(file.name):
            return _is_free(file)
        theirs = _THEIRS.fullmatch(file.name)
        if theirs is None:
            return False
        return int(theirs["pid"]) == former or not _lives(int(theirs["pid"]))


def _is_free(file: Path) -> bool:
    """Return whether nobody holds a lock on *file*: the kernel lets go of it with the process, whatever its id."""
    try:
        with file.open("rb") as opened:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
