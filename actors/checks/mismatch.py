"""Queues that exist with other arguments than ours."""

from __future__ import annotations

from actors.brokers.admin import WAY_OUT, Admin
from actors.brokers.topology import Queue
from actors.errors import QueueMismatch


def find_mismatch(admin: Admin, queue: Queue) -> str | None:
    """Return how the arguments of *queue* differ from ours, or None; it must exist, or this would make it."""
    try:
        admin.declare(queue)
    except QueueMismatch as mismatch:
        return str(mismatch).removesuffix(f". {WAY_OUT}")
    return None
