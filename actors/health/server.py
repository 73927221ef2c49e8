"""Answers probes over HTTP, in threads beside the work of a process."""

from __future__ import annotations

import logging
import os
import socket
import socketserver
import threading
import weakref
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from actors.errors import SettingsError
from actors.health.address import split
from actors.health.pages import Page, Pages, page_at

log = logging.getLogger("actors.health")

# A client that says nothing for so long is given up.
SILENT_FOR_S = 5.0

_FAILED = Page(HTTPStatus.INTERNAL_SERVER_ERROR, "text/plain", b"failed; the log says why\n")


class ProbeServer(ThreadingHTTPServer):
    """An HTTP server for a few requests a minute, of those who look after the process.

    Args:
        address: host and port.
        pages: what it answers.
    """

    def __init__(self, address: tuple[str, int], pages: Pages) -> None:
        self.pages = pages
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Request)
        _servers.add(self)

    def server_bind(self) -> None:
        """Listen, without a look-up of this machine's name, which takes as long as a name server likes."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Leave it at a line for whoever wants to know: the client has gone."""
        log.debug("a probe from %s came to nothing", client_address, exc_info=True)

    def close(self) -> None:
        """Stop."""
        self.shutdown()
        self.server_close()


_servers: weakref.WeakSet[ProbeServer] = weakref.WeakSet()


def _leave_to_parent() -> None:
    for server in list(_servers):
        server.socket.close()


# What a job forks would keep the port, and answer nothing there.
os.register_at_fork(after_in_child=_leave_to_parent)


class _Request(BaseHTTPRequestHandler):
    """Answers GET and HEAD; http.server refuses all else."""

    server: ProbeServer
    timeout = SILENT_FOR_S

    def do_GET(self) -> None:
        self.wfile.write(self._begin().body)

    def do_HEAD(self) -> None:
        self._begin()

    def version_string(self) -> str:
        """Return what it is, and not of which version."""
        return "actors"

    def log_message(self, *_: Any) -> None:
        """Say nothing: a probe comes every few seconds."""

    def _begin(self) -> Page:
        try:
            page = page_at(self.path, self.server.pages, accept=self.headers.get("Accept", ""))
        except Exception:
            log.exception("%s can't be answered", self.path)
            page = _FAILED
        self.send_response(page.status)
        self.send_header("Content-Type", page.content_type)
        self.send_header("Content-Length", str(len(page.body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        return page


def serve(address: str, pages: Pages) -> ProbeServer | None:
    """Answer probes from now on, until the server is closed or the process ends.

    Args:
        address: ``HOST:PORT``; port 0 is any that is free. Empty for no server at all.
        pages: what it answers.

    Raises:
        SettingsError: nothing can listen there.
    """
    if not address:
        return None
    host, port = split(address)
    try:
        server = ProbeServer((host, port), pages)
    except OSError as error:
        raise SettingsError(
            f"ACTORS_HEALTH_ADDRESS: nothing can listen on {address!r}: {error.strerror or error}; "
            "name an address of this machine, and a port that is free"
        ) from None
    where = f"{f'[{host}]' if ':' in host else host}:{server.server_port}"
    log.info("probes are answered on %s: %s", where, " ".join(pages))
    threading.Thread(target=server.serve_forever, name="probes", daemon=True).start()
    return server
