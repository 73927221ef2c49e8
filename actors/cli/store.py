"""The store, for commands that can do nothing without it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from actors.assembly import settings
from actors.brokers.nodes import mask_password
from actors.cli.exits import ExitStatus
from actors.configuration import variable
from middleware.stores import StoreUnavailable


@contextmanager
def store_needed() -> Iterator[None]:
    """End the command where the store does not answer."""
    try:
        yield
    except StoreUnavailable as error:
        where = mask_password(settings().store_url)
        typer.echo(f"Error: {where}: {error}; start it, or set {variable('store_url')}", err=True)
        raise typer.Exit(ExitStatus.UNREACHABLE) from None
