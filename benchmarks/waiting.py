"""Waits for what a worker does, as long as it runs."""

import subprocess
from collections.abc import Callable
from pathlib import Path

from services.deadline import until
from services.errors import NotReady


def wait_for_worker(
    process: subprocess.Popen[bytes], condition: Callable[[], object], *, of: str, log: Path, seconds: float, what: str
) -> None:
    """Wait until *condition* holds.

    Args:
        process: of the worker.
        condition: is asked again and again.
        of: the name of the system.
        log: what the worker writes.
        seconds: for how long at most.
        what: is waited for.

    Raises:
        NotReady: it did not hold within *seconds*, or the worker has ended; with the last of its log.
    """

    def check() -> bool:
        if process.poll() is not None:
            raise NotReady(f"the worker ended with status {process.returncode}")
        return bool(condition())

    try:
        until(check, seconds=seconds, what=what)
    except NotReady as error:
        raise NotReady(f"{of}: {error}:\n{log.read_text()[-2000:]}") from None
