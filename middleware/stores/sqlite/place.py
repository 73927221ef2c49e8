"""Where a file is, and whether it can be there.

Nothing here opens it. To open a file and close it again takes away, by the rules of POSIX, the locks that all of this
process's connections have on it.
"""

from __future__ import annotations

import os
from pathlib import Path

from middleware.stores.sqlite.errors import FileRefused
from middleware.stores.sqlite.mounts import shared_mount


def absolute(path: str | os.PathLike[str]) -> Path:
    """Return *path* from the root on.

    Raises:
        FileRefused: it is the name of no file.
    """
    name = os.fspath(path)
    if not name or name == ":memory:" or name.startswith("file:"):
        raise FileRefused(
            f"{name!r} names no file that processes can share; give the path of one, such as actors.db; "
            "for tests there is the broker in memory"
        )
    return Path(os.path.abspath(name))  # noqa: PTH100 (Path.absolute keeps the dots)


def identity(path: Path) -> tuple[int, int] | None:
    """Return what tells the file at *path* from one that is put in its place; None if it is gone."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def misplaced(path: Path) -> str:
    """Return what is wrong with the place of the file at *path*, or with its access; ``""`` if nothing is."""
    # SQLite keeps the log beside the file that a link leads to.
    real = Path(os.path.realpath(path))
    folder = real.parent
    if not folder.is_dir():
        return f"there is no folder {folder}; make it"
    if shared := shared_mount(folder):
        return (
            f"it is on a network file system ({shared}), and SQLite's write-ahead log needs memory that all processes "
            "share, which is that of one machine; name a file on a local disk, or use RabbitMQ and Redis"
        )
    if real.is_dir():
        return "that is a folder; name a file in it"
    if real.exists() and not real.is_file():
        return "that is no regular file; name one, or one that is yet to be made"
    if real.exists() and not os.access(real, os.R_OK | os.W_OK):
        return "this process may not read and write it; give its user the right, or name another file"
    if not os.access(folder, os.W_OK | os.X_OK):
        return (
            f"this process may not make files in {folder}, where SQLite keeps its log beside it; "
            "give its user the right, or name a file elsewhere"
        )
    return ""
