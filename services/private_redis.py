"""The machine's own Redis, run on a private port and folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from services.ports import free_port
from services.process import PrivateProcess
from services.store import Redis
from services.warden import Warden

# What Redis has answered survives SIGKILL, and no key is ever evicted.
DURABLE = ("--appendonly", "yes", "--appendfsync", "always", "--save", "", "--maxmemory-policy", "noeviction")


@contextmanager
def private_redis() -> Iterator[Redis]:
    """A Redis that is not started yet; killed, and its data removed, at the end of the block."""
    port = free_port()
    command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), *DURABLE]
    with Warden("redis") as warden, PrivateProcess(warden, "redis", command, os.environ) as process:
        yield Redis(f"redis://127.0.0.1:{port}/0", process)
