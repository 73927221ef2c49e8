"""The memory of a command and all its processes."""

from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")
IS_READABLE = (PROC / "self/smaps_rollup").exists()


def resident_mb(session: int) -> float:
    """Return the resident memory of the processes of *session*, in megabytes; what they share counts once.

    It is the sum of their proportional set sizes, of which Linux alone tells.
    """
    return sum(_proportional_kib(process) for process in processes(session)) * 1024 / 1e6


def processes(session: int) -> Iterator[Path]:
    """Return the folders of the processes of *session*."""
    for process in PROC.glob("[0-9]*"):
        try:
            # The command's name, in parentheses, may have any characters in it.
            _, _, fields = (process / "stat").read_text().rpartition(")")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields.split()[3]) == session:
            yield process


def _proportional_kib(process: Path) -> int:
    try:
        lines = (process / "smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0  # it has ended
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
