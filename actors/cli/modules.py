"""The users' modules on the command line."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, redirect_stdout
from pathlib import Path

from actors.assembly import settings
from actors.loading import load


def import_from_here() -> None:
    """Let modules be imported from the working directory, as ``dramatiq`` does."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)


def load_modules(*named: list[str] | None) -> list[str]:
    """Import the modules that the command line names, else those of ``ACTORS_MODULES``, and return their names.

    Raises:
        SettingsError: a setting is unknown or malformed.
        LoadingError: a module can't be imported.
    """
    modules = given(*named) or list(settings().modules)
    with prints_to_stderr():
        load(modules)
    return modules


def given(*named: list[str] | None) -> list[str]:
    """Return the modules that the command line names."""
    return [module for each in named for module in each or ()]


def prints_to_stderr() -> AbstractContextManager[object]:
    """Keep what the users' code prints out of what the command prints on stdout."""
    return redirect_stdout(sys.stderr)
