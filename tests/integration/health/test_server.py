"""The server that answers probes, over HTTP."""

import logging
import socket
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse

import pytest

from actors.errors import SettingsError
from actors.health import server as module
from actors.health.pages import Page, verdict
from actors.health.server import ProbeServer, serve
from periodic.health import Check


def broken() -> Page:
    raise RuntimeError("a secret of the application")


PAGES = {
    "/live": lambda: verdict([Check("loop", True, "it comes round")]),
    "/ready": lambda: verdict([Check("loop", False, "it hangs", "restart it")]),
    "/broken": broken,
}


@pytest.fixture
def server() -> Iterator[ProbeServer]:
    started = serve("127.0.0.1:0", PAGES)
    assert started is not None
    yield started
    started.close()


def ask(server: ProbeServer, method: str, path: str) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    connection.request(method, path)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


def test_get_and_head_are_answered_and_nothing_else(server: ProbeServer) -> None:
    got, body = ask(server, "GET", "/live")
    assert (got.status, got.headers["Content-Type"], got.headers["Cache-Control"]) == (
        200,
        "application/json",
        "no-store",
    )
    assert b"it comes round" in body
    head, nothing = ask(server, "HEAD", "/live")
    assert (head.status, head.headers["Content-Length"], nothing) == (200, str(len(body)), b"")
    assert [ask(server, "GET", path)[0].status for path in ("/ready", "/", "/live/x")] == [503, 404, 404]
    assert {ask(server, method, "/live")[0].status for method in ("POST", "PUT", "DELETE", "OPTIONS")} == {501}


def test_it_says_nothing_of_versions_nor_of_what_went_wrong_inside(
    server: ProbeServer, caplog: pytest.LogCaptureFixture
) -> None:
    response, body = ask(server, "GET", "/broken")
    assert (response.status, response.headers["Server"]) == (500, "actors")
    assert b"secret" not in body
    assert "a secret of the application" in caplog.text


def test_a_client_that_says_nothing_keeps_nobody_waiting_and_is_given_up(
    server: ProbeServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module._Request, "timeout", 0.2)
    caplog.set_level(logging.WARNING)
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as silent:
        assert ask(server, "GET", "/live")[0].status == 200
        assert silent.recv(1) == b""
    assert caplog.text == ""


def test_it_listens_on_ipv6_where_it_is_told_to_or_says_that_it_can_not() -> None:
    if not has_ipv6():
        with pytest.raises(SettingsError, match="ACTORS_HEALTH_ADDRESS: nothing can listen on"):
            serve("[::1]:0", PAGES)
        return
    started = serve("[::1]:0", PAGES)
    assert started is not None
    with socket.create_connection(("::1", started.server_port), timeout=10):
        pass
    started.close()


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_without_an_address_there_is_no_server() -> None:
    assert serve("", PAGES) is None


def test_a_port_that_is_in_use_is_an_error_that_names_it(server: ProbeServer) -> None:
    address = f"127.0.0.1:{server.server_port}"
    with pytest.raises(SettingsError, match=f"ACTORS_HEALTH_ADDRESS: nothing can listen on '{address}': .*in use"):
        serve(address, PAGES)


def test_an_address_of_another_machine_is_an_error() -> None:
    with pytest.raises(SettingsError, match="nothing can listen on"):
        serve("192.0.2.1:0", PAGES)
