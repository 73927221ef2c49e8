"""The ``actors`` command; a file a command, and what they share."""

from actors.cli.app import main

__all__ = ["main"]
