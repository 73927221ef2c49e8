"""Tells systemd, or who else understands sd_notify(3), how a process is that it has started."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Self

from actors.configuration import service_manager
from periodic.health import Check

log = logging.getLogger("actors.health")

# By how much a start may take longer, told again each second while the process lives: what waits for RabbitMQ is not
# to be killed for that.
EXTEND_US = 30_000_000
TELL_EVERY_S = 1.0

Checks = Sequence[Check]


class ServiceManager:
    """Where the words go.

    Args:
        address: ``NOTIFY_SOCKET``: a path, or a name with ``@`` before it.
        is_watched: it restarts what does not say that it lives.
    """

    def __init__(self, address: str, *, is_watched: bool) -> None:
        # A name that is no path begins with a zero byte, for the kernel.
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._is_watched = is_watched
        self._is_started = False
        self._status = ""
        self._is_failing = False

    @classmethod
    def of_environment(cls) -> Self | None:
        """Return the one that has started this process, or None."""
        found = service_manager()
        return cls(found.address, is_watched=found.is_watching) if found is not None else None

    def tell(self, live: Checks, ready: Checks) -> None:
        """Say how it is. It has started when it is ready first.

        Args:
            live: whether it lives.
            ready: whether it is ready.
        """
        words = []
        problems = [check for check in (*live, *ready) if not check.ok]
        status = "; ".join(dict.fromkeys(check.reason for check in problems)) or "ready"
        if status != self._status:
            words.append(f"STATUS={' '.join(status.split())}")
        if all(check.ok for check in live):
            if self._is_watched:
                words.append("WATCHDOG=1")
            if not self._is_started and problems:
                words.append(f"EXTEND_TIMEOUT_USEC={EXTEND_US}")
        is_started = self._is_started or not problems
        if is_started and not self._is_started:
            words.append("READY=1")
        if words and self._send(words):
            self._status, self._is_started = status, is_started

    def tell_for_ever(self, look: Callable[[], tuple[Checks, Checks]]) -> None:
        """Say once a second, from a thread, how it is.

        Args:
            look: returns whether it lives, and whether it is ready.
        """

        def run() -> None:
            while True:
                self.tell(*look())
                time.sleep(TELL_EVERY_S)

        threading.Thread(target=run, name="service-manager", daemon=True).start()

    def stopping(self) -> None:
        """Say that the service ends."""
        self._send(["STOPPING=1", "STATUS=stopping"])

    def _send(self, words: Sequence[str]) -> bool:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as end:
                end.sendto("\n".join(words).encode(), self._address)
        except OSError as error:
            if not self._is_failing:
                log.warning("NOTIFY_SOCKET: the service manager can't be told how this process is: %s", error)
            self._is_failing = True
            return False
        self._is_failing = False
        return True
