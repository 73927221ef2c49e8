"""Commands that go on until they are told to end."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import UnsupportedOperation

# Waits for so many seconds, and returns whether to end.
Wait = Callable[[float], bool]


@contextmanager
def until_told() -> Iterator[Wait]:
    """End the block on Ctrl-C, on SIGTERM, or when nobody reads stdout any more, as if it had come to its end.

    Yields:
        What waits, and returns whether to end: when somebody has pressed q, or has closed the pipe.
    """
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with _keys() as is_pressed:
            yield lambda seconds: _wait(seconds, is_pressed)
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        # What is left to write at the end of the process goes nowhere.
        with suppress(OSError, UnsupportedOperation):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    finally:
        signal.signal(signal.SIGTERM, before)


def _wait(seconds: float, is_pressed: Callable[[], bool]) -> bool:
    """Wait for *seconds*; return early, and True, once nobody reads, or q is pressed."""
    poll = select.poll()
    with suppress(OSError, UnsupportedOperation, ValueError):
        # A pipe that is closed at its other end says so by itself, without anybody writing to it.
        poll.register(sys.stdout.fileno(), 0)
    with suppress(OSError, UnsupportedOperation, ValueError):
        if sys.stdin.isatty():
            poll.register(sys.stdin.fileno(), select.POLLIN)
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        for _, event in poll.poll(left * 1_000):
            if event & (select.POLLERR | select.POLLHUP) or is_pressed():
                return True
    return False


@contextmanager
def _keys() -> Iterator[Callable[[], bool]]:
    """Let keys be read as they are pressed; gives what takes one, and returns whether it is q."""
    try:
        descriptor = sys.stdin.fileno()
        before = termios.tcgetattr(descriptor)
    except (OSError, ValueError, termios.error):
        yield lambda: False
        return
    tty.setcbreak(descriptor)
    try:
        yield lambda: os.read(descriptor, 1) in (b"q", b"Q")
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
