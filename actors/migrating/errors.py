"""Why a migration does not begin, or go on."""

from __future__ import annotations

from actors.errors import ActorsError


class MigrationRefused(ActorsError):
    """What is in a file can't be moved as things stand; nothing is lost."""


class InUse(MigrationRefused):
    """Workers or schedulers use the file."""
