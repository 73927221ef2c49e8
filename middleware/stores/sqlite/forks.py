"""The files of this process, which are closed before it forks and at its end."""

from __future__ import annotations

import atexit
import os
import weakref
from pathlib import Path
from typing import Protocol


class Closable(Protocol):
    """A file that can be closed, and is opened again with its next use."""

    @property
    def path(self) -> Path:
        """Where it is."""

    def close(self) -> None:
        """Close it."""

    def before_fork(self) -> bool:
        """Close it, and keep it closed; return whether that could be done."""

    def after_fork_in_parent(self) -> None:
        """Go on."""

    def after_fork_in_child(self, *, is_usable: bool) -> None:
        """Know of nothing that is open; if it is not *is_usable*, refuse to open anything."""


_files: weakref.WeakSet[Closable] = weakref.WeakSet()
_kept_open: set[Path] = set()


def register(file: Closable) -> None:
    """Close *file* when the process forks or ends, for as long as somebody has it."""
    _files.add(file)


def _all() -> list[Closable]:
    while True:
        try:
            return list(_files)
        except RuntimeError:
            # Another thread has just made one.
            continue


def _close_all() -> None:
    for file in _all():
        file.close()


def _before_fork() -> None:
    # Two may be of the same path, and share what SQLite knows of its locks.
    _kept_open.clear()
    _kept_open.update([file.path for file in _all() if not file.before_fork()])


def _after_fork_in_parent() -> None:
    for file in _all():
        file.after_fork_in_parent()


def _after_fork_in_child() -> None:
    for file in _all():
        file.after_fork_in_child(is_usable=file.path not in _kept_open)


atexit.register(_close_all)
os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
