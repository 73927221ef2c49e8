"""How commands end: their exit statuses, and errors as one line instead of a traceback."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import typer
from dramatiq.errors import BrokerConnectionError
from typer.core import TyperGroup

from actors.checks.origin import where
from actors.errors import ActorsError, LoadingError


class ExitStatus(IntEnum):
    """How a command ended. Where several apply, USAGE goes before UNREACHABLE, and that before FAILED."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3


MEANINGS = {
    ExitStatus.OK: "all is well",
    ExitStatus.FAILED: "a check found an error, or the job that was run failed",
    ExitStatus.USAGE: "the command line, a setting or a module is wrong",
    ExitStatus.UNREACHABLE: "RabbitMQ, Redis or the file can't be reached, or refuses",
}


class Commands(TyperGroup):
    """The commands; an error that its reader can mend ends them with one line on stderr."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except BrokerConnectionError as error:
            raise _end(str(error), ExitStatus.UNREACHABLE) from None
        except LoadingError as error:
            place = where(error.__cause__)
            raise _end(f"{error} ({place})" if place else str(error), ExitStatus.USAGE) from None
        except ActorsError as error:
            raise _end(str(error), ExitStatus.USAGE) from None


def _end(text: str, status: ExitStatus) -> typer.Exit:
    typer.echo(f"Error: {' '.join(text.split())}", err=True)
    return typer.Exit(status)
