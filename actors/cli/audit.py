"""A line for each change that an operator makes by hand."""

from __future__ import annotations

import json
import logging
import os
import pwd
import socket
from datetime import UTC, datetime

import typer

log = logging.getLogger("actors.audit")
log.setLevel(logging.INFO)  # from whatever level on the rest of the application logs


def audit(*, echo: bool = True, **what: object) -> None:
    """Say *what* was done, by whom and when: in JSON on stderr and in the log, whose record has it as ``audit``.

    Without *echo* it is in the log alone.
    """
    by = {"by": f"{_user()}@{socket.gethostname()}", "time": datetime.now(UTC).isoformat(timespec="milliseconds")}
    line = json.dumps(what | by)
    log.info("%s", line, extra={"audit": what | by})
    if echo:
        typer.echo(f"audit: {line}", err=True)


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # as in a container that runs under a bare number
        return str(os.getuid())
