"""A TCP proxy that stands for a bad network between one client and RabbitMQ."""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Proxy:
    """Passes bytes on to *target*, unless told otherwise.

    Attributes:
        url: where clients connect to.
        delay_s: how long the bytes of either direction are under way, in seconds.
    """

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = (str(parts.hostname), int(parts.port or 5672))
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        credentials = f"{parts.username}:{parts.password}@" if parts.username else ""
        self.url = urlunsplit(parts._replace(netloc=f"{credentials}127.0.0.1:{port}"))
        self.delay_s = 0.0
        self._open = threading.Event()
        self._open.set()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def blackhole(self) -> None:
        """Let no byte through, in either direction, while all connections stay open."""
        self._open.clear()

    def heal(self) -> None:
        """Let through what comes, and what has been waiting."""
        self.delay_s = 0.0
        self._open.set()

    def reset(self) -> None:
        """End all connections at once, without a farewell."""
        pairs, self._pairs = self._pairs, []
        for each in [side for pair in pairs for side in pair]:
            with suppress(OSError):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            with suppress(OSError):
                each.shutdown(socket.SHUT_RD)  # the thread that reads from it does not notice a close
            each.close()

    def close(self) -> None:
        self._listener.close()
        self.heal()
        self.reset()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(self._target, timeout=5)
                except OSError:
                    client.close()
                    continue
                server.settimeout(None)
                self._pairs.append((client, server))
                for source, sink in ((client, server), (server, client)):
                    source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    threading.Thread(target=self._pass_on, args=[source, sink], daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                self._open.wait()
                time.sleep(self.delay_s)
                sink.sendall(data)
            self._open.wait()
            sink.shutdown(socket.SHUT_WR)


@contextmanager
def proxy(target: str) -> Iterator[Proxy]:
    """A proxy to the URL *target*, for the block."""
    made = Proxy(target)
    try:
        yield made
    finally:
        made.close()
