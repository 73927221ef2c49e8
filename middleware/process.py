"""Who this process is, in dead letters and log lines."""

from __future__ import annotations

import os
import socket


def process_name() -> str:
    """Return the host and the process id, such as ``worker-7:42``."""
    # Not kept: it would be the parent's in a process that was forked.
    return f"{socket.gethostname()}:{os.getpid()}"
