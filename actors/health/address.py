"""Where a process answers probes."""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^:\s/@\[\]]*):(?P<port>\d{1,5})", re.ASCII)


def split(address: str) -> tuple[str, int]:
    """Return host and port of *address*: ``HOST:PORT``, or ``:PORT`` for all addresses of this machine.

    Raises:
        ValueError: it is none.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None or int(found["port"]) > 65_535:
        raise ValueError(f"{address!r} is no HOST:PORT; write one such as :8081, 127.0.0.1:8081 or [::]:8081")
    return found["host"].strip("[]"), int(found["port"])
