"""The parent of a worker process: it ends as the worker does, or puts a fresh one in its place."""

from __future__ import annotations

import ctypes
import logging
import os
import resource
import signal
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

log = logging.getLogger(__name__)

STOPPING = (signal.SIGTERM, signal.SIGHUP)
# What else a worker may listen to, and whoever sends it knows this process only.
PASSED_ON = (signal.SIGUSR1, signal.SIGUSR2)
# Of prctl(2).
_PR_SET_PDEATHSIG = 1
# Where the kernel does not say so: how soon a worker notices that its keeper is gone, in seconds.
LOOK_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Kept:
    """A worker's way to its keeper.

    Attributes:
        keeper: its process id.
        pipe: where the worker writes to it.
    """

    keeper: int
    pipe: int

    def ask_to_be_replaced(self) -> None:
        """Let the keeper end this process, as it would at the end of all, and start a fresh one once it has ended.

        It is the keeper that sends SIGTERM, because Dramatiq's worker drops what it has at the second one: where the
        end of all comes at the same moment, it must not get both.
        """
        os.write(self.pipe, b".")
        os.kill(self.keeper, signal.SIGCHLD)


def keep() -> Kept:
    """Fork, and return in the child; this process never returns, and is its keeper from now on.

    Dramatiq's command ends everything when a process that it has started ends. So that one stays, and does nothing but
    pass on signals and wait. A child that has asked to be replaced, and has ended in order, is followed by another one,
    which begins where the first did, as this process still is what it was. In all other cases the keeper ends as its
    child has. If it is killed, so is its child.

    To be called from the main thread, before there are others.
    """
    waited_for = {*STOPPING, *PASSED_ON, signal.SIGCHLD}
    # They are waited for. A handler would leave gaps around the fork in which a signal is nobody's.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, waited_for)
    on_child = signal.signal(signal.SIGCHLD, lambda *_: None)
    keeper = os.getpid()
    while True:
        heard, pipe = os.pipe()
        try:
            child = os.fork()
            if child == 0:
                os.close(heard)
                _end_with(keeper)
                signal.signal(signal.SIGCHLD, on_child)
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
                return Kept(keeper, pipe)
            os.close(pipe)
            ward = _Ward(child, heard)
            status = ward.wait(waited_for)
        except BaseException:
            # Whatever it is, this process must not go on as a worker. A child that it has ends with it.
            log.critical("a worker process can't be started, or waited for", exc_info=True)
            os._exit(1)
        os.close(heard)
        if status != 0 or not ward.is_to_be_replaced:
            _end_as(status)


class _Ward:
    """A child, and what it and others want."""

    def __init__(self, child: int, pipe: int) -> None:
        os.set_blocking(pipe, False)
        self._child = child
        self._pipe = pipe
        self._has_asked = False
        self._is_stopping = False

    @property
    def is_to_be_replaced(self) -> bool:
        return self._has_asked and not self._is_stopping

    def wait(self, signals: set[signal.Signals]) -> int:
        """Return the status with which it has ended, as waitpid has it."""
        while True:
            number = signal.sigwait(signals)
            if number in STOPPING:
                # Who has asked to be replaced has got its signal already.
                if self._is_stopping or not self._has_asked:
                    os.kill(self._child, number)
                self._is_stopping = True
            elif number in PASSED_ON:
                os.kill(self._child, number)
            elif not self._has_asked and self._hears():
                self._has_asked = True
                if not self._is_stopping:
                    os.kill(self._child, signal.SIGTERM)
            ended, status = os.waitpid(self._child, os.WNOHANG)
            if ended:
                return status

    def _hears(self) -> bool:
        try:
            return bool(os.read(self._pipe, 1))
        except BlockingIOError:
            return False


def _end_with(keeper: int) -> None:
    """Let this process be killed when its *keeper* has ended, however that came."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        _end_if_left(keeper)
    else:
        threading.Thread(target=_look_after, args=[keeper], name="actors-kept", daemon=True).start()


def _look_after(keeper: int) -> None:
    while True:
        _end_if_left(keeper)
        time.sleep(LOOK_EVERY_S)


def _end_if_left(keeper: int) -> None:
    if os.getppid() != keeper:
        os.kill(os.getpid(), signal.SIGKILL)


def _end_as(status: int) -> NoReturn:
    """End as a child has that ended with *status*."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        # It has written its memory, if that was to be; ours says nothing.
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        with suppress(OSError):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        os.kill(os.getpid(), number)
        os._exit(128 + number)
    os._exit(os.WEXITSTATUS(status))
