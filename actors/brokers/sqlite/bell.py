"""Wakes consumers, of this process and of others, when there is something for them in the file.

SQLite tells nobody of a commit. So each consumer has a UNIX datagram socket in a folder that follows from the file's
path, and whoever has put something into a queue rings those of the queue. A ring says nothing but "look", and one that
gets lost costs a second: consumers also look by themselves.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import select
import socket
import stat
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

# How often a consumer looks by itself, in seconds: for what no ring tells of, and where it can hear none.
LOOK_EVERY_S = 1.0
LOOK_DEAF_EVERY_S = 0.05
_MARK = 8


class Bell:
    """The bell of one file.

    Only processes of one user hear each other: a folder that all may write to would let anybody ring, or listen.

    Args:
        path: of the file; links to it have the same bell.
    """

    def __init__(self, path: Path) -> None:
        name = hashlib.sha256(f"{os.geteuid()} {os.path.realpath(path)}".encode()).hexdigest()[:16]
        # Not beside the file: the path of a socket has some hundred characters at most.
        self.folder = Path(tempfile.gettempdir()) / f"actors-{name}"

    def ring(self, queues: Iterable[str]) -> None:
        """Wake all consumers of *queues*."""
        marks = {mark_of(queue) for queue in queues}
        try:
            there = [each for each in self.folder.iterdir() if each.name[:_MARK] in marks]
        except OSError:
            return  # nobody listens
        if there:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hand:
                hand.setblocking(False)
                for each in there:
                    _ring(hand, each)

    def listen(self, queue: str) -> socket.socket | None:
        """Return a socket that gets the rings for *queue*; None where there can be none."""
        ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        ear.setblocking(False)
        try:
            self._require_folder()
            ear.bind(str(self.folder / f"{mark_of(queue)}-{secrets.token_hex(4)}"))
        except OSError as error:
            ear.close()
            log.warning("queue %r: rings can't be heard, it is looked at every 50 ms instead: %s", queue, error)
            return None
        return ear

    def _require_folder(self) -> None:
        self.folder.mkdir(mode=0o700, exist_ok=True)
        found = self.folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
            raise PermissionError(f"{self.folder} is not this user's alone; remove it")


class Ear:
    """What one consumer hears: rings, and the threads of its own process.

    Args:
        bell: the bell of the file.
        queue: the logical queue.
    """

    def __init__(self, bell: Bell, queue: str) -> None:
        self._bell, self._queue = bell, queue
        self._ear = bell.listen(queue)
        self._inner, self._waker = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._poll = select.poll()
        for each in (self._inner, self._waker):
            each.setblocking(False)
        for listening in filter(None, (self._ear, self._inner)):
            self._poll.register(listening, select.POLLIN)
        self._is_woken = False

    @property
    def look_every_s(self) -> float:
        """How often to look without a ring, in seconds."""
        return LOOK_EVERY_S if self._ear is not None else LOOK_DEAF_EVERY_S

    def wake(self) -> None:
        """Let :meth:`wait` return; from any thread."""
        # Threads race here. What comes of it is one wake-up too many.
        if not self._is_woken:
            self._is_woken = True
            with suppress(OSError):
                self._waker.send(b".")

    def wait(self, seconds: float) -> bool:
        """Wait for a ring, for :meth:`wake`, or for *seconds*; return whether it was a ring."""
        self._poll.poll(max(0.0, seconds) * 1000)
        self._is_woken = False
        _drain(self._inner)
        return self._ear is not None and _drain(self._ear)

    def close(self) -> None:
        """Listen no more."""
        if self._ear is not None:
            path = Path(self._ear.getsockname())
            with suppress(OSError):
                path.unlink()
            # What the killed have left would keep the folder.
            self._bell.ring([self._queue])
            with suppress(OSError):
                path.parent.rmdir()
            self._ear.close()
        self._inner.close()
        self._waker.close()


def _ring(hand: socket.socket, path: Path) -> None:
    try:
        hand.sendto(b"", str(path))
    except BlockingIOError:
        return  # it has not come to hear earlier rings yet
    except (ConnectionRefusedError, FileNotFoundError):
        # Its process was killed.
        with suppress(OSError):
            path.unlink()
    except OSError as error:
        log.debug("%s can't be rung: %s", path, error)


def _drain(ear: socket.socket) -> bool:
    """Take all that *ear* has got; return whether that was something."""
    heard = False
    with suppress(BlockingIOError):
        while True:
            ear.recv(1)
            heard = True
    return heard


def mark_of(queue: str) -> str:
    """Return what the names of the sockets of all consumers of *queue* begin with."""
    return hashlib.sha256(queue.encode("utf-8", "surrogatepass")).hexdigest()[:_MARK]
