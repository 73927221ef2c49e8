"""The directory that the processes of one instance share: those of a machine that answer at the same address."""

from __future__ import annotations

import os
import re
import stat
import tempfile
from pathlib import Path

from actors.errors import SettingsError


def instance_dir(runtime_dir: Path | None, address: str) -> Path:
    """Return the directory of the instance at *address*, which is made if need be, for this user alone.

    It outlasts the processes, so that what they have counted does, too.

    Args:
        runtime_dir: ``ACTORS_RUNTIME_DIR``; None for one in the directory for temporary files.
        address: ``HOST:PORT``, where the instance answers probes.

    Raises:
        SettingsError: it can't be made, or belongs to somebody else.
    """
    root = runtime_dir if runtime_dir is not None else Path(tempfile.gettempdir(), f"dramatiq-once-{os.getuid()}")
    place = root / re.sub(r"[^A-Za-z0-9.-]", "_", address)
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = place.parent.stat() if runtime_dir is None else place.stat()
    except OSError as error:
        raise SettingsError(
            f"ACTORS_RUNTIME_DIR: {place} can't be made: {error.strerror or error}; name a directory of this user's"
        ) from None
    if found.st_uid != os.getuid() or (runtime_dir is None and found.st_mode & stat.S_IWOTH):
        raise SettingsError(
            f"ACTORS_RUNTIME_DIR: {place} belongs to somebody else, or anybody may write there; "
            "name a directory of this user's"
        )
    return place
