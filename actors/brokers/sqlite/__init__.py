"""The broker on one SQLite file."""

from actors.brokers.sqlite.engine import PREFETCH, SqliteEngine, SqliteOptions
from actors.brokers.sqlite.joining import NotJoinable
from actors.brokers.sqlite.schema import SCHEMA

__all__ = ["PREFETCH", "SCHEMA", "NotJoinable", "SqliteEngine", "SqliteOptions"]
