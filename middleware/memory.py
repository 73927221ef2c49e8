"""How much memory this process has."""

from __future__ import annotations

import os
import sys

_STATM = "/proc/self/statm"
_MIB = 2**20


def resident_mib() -> float:
    """Return how much of this process is in memory, in MiB; where the system does not say, how much was at most."""
    try:
        with open(_STATM, "rb") as statm:  # noqa: PTH123  # a third of the time
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / _MIB
    except FileNotFoundError:
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most / _MIB if sys.platform == "darwin" else most / 1024
