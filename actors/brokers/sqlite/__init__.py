"""The broker on one SQLite file."""

from actors.brokers.sqlite.engine import LEASE_MS, PREFETCH, SqliteEngine, SqliteOptions
from actors.brokers.sqlite.joining import NotJoinable
from actors.brokers.sqlite.schema import SCHEMA

__all__ = ["LEASE_MS", "PREFETCH", "SCHEMA", "NotJoinable", "SqliteEngine", "SqliteOptions"]
