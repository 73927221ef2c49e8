"""Watches folders for code that changes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from watchfiles import Change, DefaultFilter, watch

# What changes in so many milliseconds after a change belongs to it, but no longer than the debounce.
STEP_MS, DEBOUNCE_MS = 150, 1_600
MOST_NAMED = 5


class Code(DefaultFilter):
    """Lets Python's source pass, but not that of virtual environments and caches."""

    ignore_dirs = (*DefaultFilter.ignore_dirs, ".ruff_cache", ".nox", "venv", "site-packages")

    def __call__(self, change: Change, path: str) -> bool:
        """Return whether *path* is code of the application."""
        return path.endswith(".py") and super().__call__(change, path)


def watch_code(folders: Sequence[Path], report: Callable[[dict[str, Any]], None]) -> None:
    """Report each change below *folders*, those in quick succession as one, while this process runs; returns at once.

    What can't be watched is reported, too, with the reason.
    """
    threading.Thread(target=_watch, args=(folders, report), daemon=True).start()


def _watch(folders: Sequence[Path], report: Callable[[dict[str, Any]], None]) -> None:
    try:
        for changes in watch(
            *folders,
            watch_filter=Code(),
            step=STEP_MS,
            debounce=DEBOUNCE_MS,
            raise_interrupt=False,
        ):
            paths = sorted({path for _, path in changes})
            report({"event": "changed", "paths": [_short(path) for path in paths[:MOST_NAMED]], "files": len(paths)})
    except (OSError, RuntimeError) as error:
        # Such as one watch too many for this machine's limits.
        report({"event": "unwatched", "why": f"{type(error).__name__}: {error}"})


def _short(path: str) -> str:
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path
