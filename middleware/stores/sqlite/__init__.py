"""Everything in one SQLite file: how it is opened, and the idempotency records in it."""

from middleware.stores.sqlite.errors import FileRefused, FileUnavailable
from middleware.stores.sqlite.file import SqliteFile
from middleware.stores.sqlite.schema import SCHEMA
from middleware.stores.sqlite.store import SqliteStore

__all__ = ["SCHEMA", "FileRefused", "FileUnavailable", "SqliteFile", "SqliteStore"]
