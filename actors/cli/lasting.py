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
def until_told(*, keys: bool = False) -> Iterator[Wait]:
    """End the block on Ctrl-C, on SIGTERM, or when nobody reads stdout any more, as if it had come to its end.

    Args:
        keys: whether q ends it, too, where there is a terminal to press it.

    Yields:
        What waits, and returns whether to end: q was pressed, or the other end of the pipe was closed.
    """
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with _keyboard(wanted=keys) as keyboard:
            yield lambda seconds: _wait(seconds, keyboard)
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        # What is left to write at the end of the process goes nowhere.
        with suppress(OSError, UnsupportedOperation):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    finally:
        signal.signal(signal.SIGTERM, before)


def _wait(seconds: float, keyboard: int | None) -> bool:
    """Wait for *seconds*; return early, and True, once nobody reads, or q is pressed on *keyboard*."""
    poll = select.poll()
    with suppress(OSError, UnsupportedOperation, ValueError):
        # A pipe that is closed at its other end says so by itself, without anybody writing to it.
        poll.register(sys.stdout.fileno(), 0)
    if keyboard is not None:
        poll.register(keyboard, select.POLLIN)
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        for _, event in poll.poll(left * 1_000):
            if event & (select.POLLERR | select.POLLHUP | select.POLLNVAL):
                return True
            if keyboard is not None and os.read(keyboard, 1) in (b"q", b"Q"):
                return True
    return False


@contextmanager
def _keyboard(*, wanted: bool) -> Iterator[int | None]:
    """Let keys be read as they are pressed; gives where, or None where there is no keyboard to be read from."""
    try:
        keyboard = sys.stdin.fileno()
        # Whoever is in the background is stopped when it changes the terminal.
        is_there = wanted and sys.stdin.isatty() and os.tcgetpgrp(keyboard) == os.getpgrp()
        before = termios.tcgetattr(keyboard) if is_there else None
    except (OSError, ValueError, termios.error):
        before = None
    if before is None:
        yield None
        return
    tty.setcbreak(keyboard)
    try:
        yield keyboard
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
