"""The broker on one SQLite file."""

from actors.brokers.sqlite.schema import SCHEMA

__all__ = ["SCHEMA"]
