"""Whether a process that has left a word is there still, and no other with its number."""

from __future__ import annotations

import os
from pathlib import Path

# The fields of /proc/PID/stat behind the name of the program, which may have any character: state is the first.
_STATE, _STARTED = 0, 19
_ENDED = ("Z", "X")


def started(pid: int) -> str | None:
    """Return when process *pid* was started, as this machine counts it, or None if there is none.

    It is empty where the kernel does not tell.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return _started_without_proc(pid)
    fields = stat.rpartition(")")[2].split()
    return None if fields[_STATE] in _ENDED else fields[_STARTED]


def is_there(pid: int, since: str) -> bool:
    """Return whether process *pid* is the one that was started at *since*, and has not ended."""
    found = started(pid)
    return found is not None and found == since


def _started_without_proc(pid: int) -> str | None:
    if Path("/proc/self/stat").exists():
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return ""
