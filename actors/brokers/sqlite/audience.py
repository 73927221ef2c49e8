"""Who takes from the queues of a file."""

from __future__ import annotations

import socket
import sqlite3

from actors.brokers.sqlite import census
from actors.brokers.sqlite.bell import Bell, mark_of


def consumers(connection: sqlite3.Connection, bell: Bell, queue: str, *, now: int) -> int:
    """Return how many consumers *queue* has at *now*: who has messages, and who waits for some.

    One that works on its last message does both, and one that only waits has no lease.
    """
    return max(census.holders(connection, queue, now=now), listeners(bell, queue))


def listeners(bell: Bell, queue: str) -> int:
    """Return how many consumers of *queue* hear *bell*; those of killed processes do not, and are not rung for that.

    Only the consumers of one user's processes hear each other, where they have one folder for what is temporary.
    """
    mark = mark_of(queue)
    try:
        there = [each for each in bell.folder.iterdir() if each.name.startswith(mark)]
    except OSError:
        return 0  # nobody listens, or it is another user's
    found = 0
    for each in there:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hand:
            try:
                # Nothing is sent by that.
                hand.connect(str(each))
            except OSError:
                continue  # its process was killed, or has just closed it
            found += 1
    return found
