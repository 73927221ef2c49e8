"""Forked processes that do some of a test's work, to be many at once, to be killed, or to give up rights."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import traceback
import warnings
from collections.abc import Callable
from typing import Any

from services.deadline import until

Tell = Callable[[Any], None]

# A child that hangs ends by itself.
SECONDS = 60


class Child:
    """A process that does *work*, and tells its parent of it, value by value.

    Use it in a ``with`` statement: at its end the child is gone.
    """

    def __init__(self, work: Callable[[Tell], None]) -> None:
        self.status: int | None = None
        # A file takes all of it, also while nobody reads.
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 (closed at the end)
        with warnings.catch_warnings():
            # From Python 3.12 on, of other threads. None of theirs is of interest to the child.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
        if self.pid == 0:
            _work(work, self._file.fileno())

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        if self.status is None:
            self.kill()
            self.wait()
        self._file.close()

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def wait_for_word(self) -> None:
        until(self.told, seconds=SECONDS, what="a word of a child")

    def wait(self) -> int:
        """Wait for its end; return its exit status, or less than 0 if a signal was its end."""
        self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.status

    def told(self) -> list[Any]:
        """Return what it has told so far."""
        self._file.seek(0, os.SEEK_END)
        text = os.pread(self._file.fileno(), self._file.tell(), 0)
        return [json.loads(line) for line in text.splitlines()]


def tell_of(work: Callable[[Tell], None]) -> list[Any]:
    """Do *work* in a child, which must end well; return what it has told."""
    with Child(work) as child:
        assert child.wait() == 0
        return child.told()


def _work(work: Callable[[Tell], None], file: int) -> None:
    def tell(value: Any) -> None:
        os.write(file, f"{json.dumps(value)}\n".encode())

    signal.alarm(SECONDS)
    status = 1
    try:
        work(tell)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)
