"""Moves all that a SQLite file keeps to RabbitMQ and a store beside it, for who outgrows one machine."""

from actors.migrating.counts import Counts, counts_of
from actors.migrating.errors import InUse, MigrationRefused
from actors.migrating.file import file_to_move
from actors.migrating.marker import abandon
from actors.migrating.migration import Destination, Migration, Report

__all__ = [
    "Counts",
    "Destination",
    "InUse",
    "Migration",
    "MigrationRefused",
    "Report",
    "abandon",
    "counts_of",
    "file_to_move",
]
