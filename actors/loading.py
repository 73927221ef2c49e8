"""The users' modules: found, imported once the broker exists, and refused when they can't work."""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import dramatiq
from dramatiq.cli import make_argument_parser
from dramatiq.middleware import Middleware

from actors.configuration import Settings
from actors.errors import ActorsError, LoadingError
from actors.logs import say_once, write_json, write_text
from actors.redacting import function_at

log = logging.getLogger("actors")

EXIT_STATUS = 2


def load(modules: Iterable[str]) -> None:
    """Import *modules*, so that their actors are declared.

    Raises:
        LoadingError: one can't be imported; its ``__cause__`` is why.
    """
    for module in modules:
        try:
            importlib.import_module(module)
        except Exception as error:
            raise LoadingError(f"module {module!r} can't be imported: {type(error).__name__}: {error}") from error


class Boot(Middleware):
    """Loads the users' modules when a worker process starts, and ends the process where it could do no work.

    They are not imported together with ``actors``, since an application that imports one of its own modules first
    would then meet a half-made package.
    """

    def __init__(
        self,
        settings: Callable[[], Settings],
        *,
        require: Callable[[dramatiq.Broker], object],
        share: Callable[[], object] = lambda: None,
    ) -> None:
        self._settings = settings
        self._require = require
        self._share = share

    def after_process_boot(self, broker: dramatiq.Broker) -> None:
        """Import what ``ACTORS_MODULES`` and the command line name; end the process with status 2 if one fails."""
        try:
            say_once()
            if self._settings().log_format == "json":
                write_json()
            else:
                write_text()
            self._share()
            load([*self._settings().modules, *_modules_of_command()])
            redact = self._settings().log_redact
            if isinstance(redact, str) and redact:
                function_at(redact)
        except LoadingError as error:
            log.critical("%s", error, exc_info=error.__cause__)
            raise SystemExit(EXIT_STATUS) from None
        except ActorsError as error:
            log.critical("%s", error)
            raise SystemExit(EXIT_STATUS) from None

    def before_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """End the process with status 2 if there is nothing to run, or nothing that could keep it."""
        try:
            self._require(broker)
        except ActorsError as error:
            log.critical("%s", error)
            raise SystemExit(EXIT_STATUS) from None
        if not broker.actors:
            log.critical(
                "no actors are declared; name the modules that declare them: dramatiq actors shop.tasks, "
                "or ACTORS_MODULES=shop.tasks"
            )
            raise SystemExit(EXIT_STATUS)


def processes_of_command() -> int:
    """Return how many worker processes the ``dramatiq`` command has that this is one of; 1 where there is none."""
    arguments = _arguments_of_command()
    return arguments.processes if arguments is not None else 1


def _modules_of_command() -> list[str]:
    """Return the modules that the ``dramatiq`` command was given.

    It imports them itself, but later, and a module that raises anything but ImportError ends it with status 1.
    """
    arguments = _arguments_of_command()
    return list(arguments.modules) if arguments is not None else []


def _arguments_of_command() -> argparse.Namespace | None:
    command = Path(sys.argv[0])
    if command.name != "dramatiq" and command.parts[-2:] != ("dramatiq", "__main__.py"):
        return None
    arguments: argparse.Namespace = make_argument_parser().parse_known_args()[0]
    return arguments
