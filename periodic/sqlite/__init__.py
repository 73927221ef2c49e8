"""Schedulers of one machine, whose ledger is in tables of an SQLite file.

Enqueue, tick and watermark are one transaction there. The file, and what puts a message into it, come from outside.
"""

from periodic.sqlite.file import File, Put
from periodic.sqlite.operating import SqliteSchedulers
from periodic.sqlite.scheduler import SqliteScheduler
from periodic.sqlite.schema import SCHEMA

__all__ = ["SCHEMA", "File", "Put", "SqliteScheduler", "SqliteSchedulers"]
