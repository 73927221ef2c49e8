"""Who this process is, in dead letters and log lines."""

from __future__ import annotations

import os
import socket

_name = ""


def process_name() -> str:
    """Return the host and the process id, such as ``worker-7:42``."""
    global _name
    if not _name:
        _name = f"{socket.gethostname()}:{os.getpid()}"
    return _name


def _forget() -> None:
    global _name
    _name = ""


# A process that was forked has another.
os.register_at_fork(after_in_child=_forget)
