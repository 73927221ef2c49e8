"""Everything in one SQLite file: how it is opened, and the idempotency records in it."""

from middleware.stores.sqlite.errors import FileRefused, FileUnavailable
from middleware.stores.sqlite.file import SqliteFile

__all__ = ["FileRefused", "FileUnavailable", "SqliteFile"]
