"""What can be wrong with a file, and which of SQLite's result codes says so."""

from __future__ import annotations

import sqlite3
from pathlib import Path


class FileUnavailable(Exception):
    """The file can't be used just now: it is locked, its disk is full, or fails."""


class FileRefused(Exception):
    """The file can't be used as it is, nor later, until somebody does what the text says."""


# A result code is one of these in its lowest byte; the rest tells more, and is in its name.
_PRIMARY = 0xFF

_TRANSIENT = {
    sqlite3.SQLITE_BUSY: "another process has kept it locked for longer than the timeout",
    sqlite3.SQLITE_LOCKED: "another connection has it locked",
    sqlite3.SQLITE_PROTOCOL: "another process has kept its log locked",
    sqlite3.SQLITE_NOMEM: "there is no memory left for SQLite",
    sqlite3.SQLITE_INTERRUPT: "the statement was interrupted",
    sqlite3.SQLITE_IOERR: "its disk fails to read or write",
    sqlite3.SQLITE_FULL: "its disk is full; make room there, and it goes on",
    # Its folder and its access have been looked at before.
    sqlite3.SQLITE_CANTOPEN: "it can't be opened; this process may have too many files open already",
}

_DAMAGED = (
    "it was left as it is; stop all that use it, copy it together with its -wal, and restore a backup, or save what is "
    "left with: sqlite3 FILE .recover | sqlite3 NEW"
)
_PERMANENT = {
    sqlite3.SQLITE_PERM: "SQLite is denied access; give its user the right to read and write it",
    sqlite3.SQLITE_AUTH: "SQLite is denied access; give its user the right to read and write it",
    sqlite3.SQLITE_READONLY: "it is read-only; the process must be able to write it, and to make files beside it",
    sqlite3.SQLITE_CORRUPT: f"it is damaged; {_DAMAGED}",
    sqlite3.SQLITE_NOTADB: f"it is no SQLite database, or its first bytes are damaged; {_DAMAGED}",
    sqlite3.SQLITE_FORMAT: f"its format is unknown to this SQLite; {_DAMAGED}",
    sqlite3.SQLITE_NOLFS: "its file system has no files as large; use another one",
}

# Whatever else a commit may meet, it meets before it has written all.
_UNSURE = "; that was at the commit, so what was to be written may have been"


def code_of(error: sqlite3.Error) -> int:
    """Return the primary result code of *error*, or 0 where it is the module's own."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & _PRIMARY


def translated(error: sqlite3.Error, path: Path, *, at_commit: bool = False) -> FileUnavailable | FileRefused | None:
    """Return what *error* says of the file at *path*; None if it says something of the statement."""
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_CONSTRAINT_TRIGGER:
        return FileRefused(f"{path}: {error}")  # our tables have triggers only while what is in them is moved elsewhere
    code = code_of(error)
    detail = f"({getattr(error, 'sqlite_errorname', '')}: {error})"
    if code in _PERMANENT:
        return FileRefused(f"{path}: {_PERMANENT[code]} {detail}")
    if code in _TRANSIENT:
        unsure = _UNSURE if at_commit and code == sqlite3.SQLITE_IOERR else ""
        return FileUnavailable(f"{path}: {_TRANSIENT[code]}{unsure} {detail}")
    return None
