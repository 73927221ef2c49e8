"""Which file systems are shared by machines."""

from __future__ import annotations

import os
import re
from pathlib import Path

# What Linux knows of the mounts that this process sees; other systems have no such file.
TABLE = Path("/proc/self/mountinfo")

_SHARED = frozenset(
    {
        "9p", "acfs", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "gfs", "gfs2", "glusterfs", "gpfs", "lustre",
        "ncpfs", "ocfs2", "orangefs", "panfs", "pvfs2", "vboxsf", "vmhgfs",
        "fuse.beegfs", "fuse.ceph", "fuse.ceph-fuse", "fuse.davfs2", "fuse.gcsfuse", "fuse.glusterfs", "fuse.goofys",
        "fuse.gvfsd-fuse", "fuse.juicefs", "fuse.mfs", "fuse.moosefs", "fuse.mount-s3", "fuse.portal", "fuse.rclone",
        "fuse.s3fs", "fuse.seaweedfs", "fuse.sshfs", "fuse.vmhgfs-fuse",
    }
)  # fmt: skip
_SHARED_FAMILIES = ("nfs", "smb")

_ESCAPED = re.compile(r"\\([0-7]{3})")


def shared_mount(folder: Path) -> str:
    """Return the type and the place of the network file system that *folder* is on; ``""`` if it is on none."""
    try:
        table = TABLE.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
    place, kind = mount_of(os.path.realpath(folder), table)
    is_shared = kind in _SHARED or kind.startswith(_SHARED_FAMILIES)
    return f"{kind}, mounted at {place}" if is_shared else ""


def mount_of(folder: str, table: str) -> tuple[str, str]:
    """Return where that is mounted which holds *folder*, and its type, by the lines of *table*."""
    found = ("", "")
    for line in table.splitlines():
        left, _, right = line.partition(" - ")
        place = _ESCAPED.sub(lambda match: chr(int(match[1], 8)), left.split(" ")[4])
        # Of two at the same place, the later one hides the other.
        if len(place) >= len(found[0]) and (place == "/" or folder == place or folder.startswith(f"{place}/")):
            found = (place, right.split(" ")[0])
    return found
