"""Middleware for Dramatiq, one class a file; each works on any Dramatiq broker."""

from middleware.async_io import AsyncIO
from middleware.restore_arguments import RestoreArguments
from middleware.time_limit import TimeLimit

__all__ = ["AsyncIO", "RestoreArguments", "TimeLimit"]
