"""A file: where it is, whether it can be used, and what there is around it."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from actors.checks.finding import Finding, error, ok, warning
from middleware.stores.sqlite.errors import translated
from middleware.stores.sqlite.log import LARGE_BYTES
from middleware.stores.sqlite.place import misplaced
from middleware.stores.sqlite.versions import too_new, version_of

# Less room than this on its disk is warned of, in bytes.
ROOM_BYTES = 100 * 1024 * 1024
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that could be opened, and written.

    Attributes:
        version: of our tables; None if it has none.
        journal_mode: how SQLite keeps what is not committed.
    """

    version: int | None
    journal_mode: str


def check_place(path: Path, timeout_s: float) -> Iterator[Finding]:
    """Look at the file at *path*, which is left as it is; it is not made where there is none.

    What is wrong comes first, as a finding of ``file``, and then there is no other.

    Args:
        path: of the file.
        timeout_s: how long another process may have it locked, in seconds.
    """
    subject = str(path)
    if wrong := misplaced(path):
        what, _, advice = wrong.partition("; ")
        yield error("file", subject, what, advice)
        return
    if not path.exists():
        yield ok("file", subject, "does not exist yet; the first worker or the first send makes it")
        yield _disk(path)
        return
    try:
        opened = _open(path, timeout_s)
    except sqlite3.Error as problem:
        known = translated(problem, path)
        what, _, advice = str(known or problem).removeprefix(f"{path}: ").partition("; ")
        yield error("file", subject, what, advice)
        return
    yield ok("file", subject, "can be read and written")
    yield _version(subject, opened.version)
    yield _log(path, opened.journal_mode)
    yield _disk(path)


def _open(path: Path, timeout_s: float) -> Opened:
    """Open the file, and write to it in a transaction that is undone.

    Not as those do it that use it, who would make their tables, and its log.
    """
    uri = f"{path.as_uri()}?mode=rw"
    with closing(sqlite3.connect(uri, uri=True, timeout=timeout_s, isolation_level=None)) as raw:
        journal_mode: str
        [journal_mode] = raw.execute("PRAGMA journal_mode").fetchone()
        raw.execute("BEGIN IMMEDIATE")
        raw.execute("CREATE TABLE actors_check (id INTEGER)")
        is_ours = raw.execute("SELECT 1 FROM sqlite_master WHERE name = 'actors_schema'").fetchone()
        version = version_of(raw) if is_ours else None
        raw.execute("ROLLBACK")
        return Opened(version, journal_mode)


def _version(subject: str, version: int | None) -> Finding:
    if version is None:
        return ok("file-version", subject, "has none of our tables yet; its first use makes them")
    if wrong := too_new(version):
        what, _, advice = wrong.partition("; ")
        return error("file-version", subject, what, advice)
    return ok("file-version", subject, f"our tables are of version {version}")


def _log(path: Path, journal_mode: str) -> Finding:
    if journal_mode != "wal":
        what = f"journal mode {journal_mode!r}; its first use makes that a write-ahead log"
        return ok("file-log", str(path), what)
    log = Path(f"{os.path.realpath(path)}-wal")
    size = log.stat().st_size if log.exists() else 0
    if size > 2 * LARGE_BYTES:
        return warning(
            "file-log",
            str(path),
            f"its write-ahead log has grown to {size // _MIB} MiB: somebody reads an old state of it, and keeps it",
            "end the process that holds a transaction open for long, such as a shell of sqlite3 or a backup",
        )
    return ok("file-log", str(path), f"write-ahead log of {size / _MIB:.1f} MiB")


def _disk(path: Path) -> Finding:
    free = shutil.disk_usage(Path(os.path.realpath(path)).parent).free
    what = f"{free // _MIB:,} MiB free on its disk"
    if free < ROOM_BYTES:
        advice = "make room: when it is full, every send is refused, and nothing that a worker does can be recorded"
        return warning("file-disk", str(path), what, advice)
    return ok("file-disk", str(path), what)
