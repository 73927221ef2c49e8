"""What a service manager is told, over a real socket."""

import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.health.service_manager import EXTEND_US, ServiceManager
from periodic.health import Check

WELL = [Check("heartbeats", True, "each process has just told of itself")]
STUCK = [Check("turns", False, "a consumer\nhangs", "restart it")]
UNREADY = [Check("consumers", False, "no channel to RabbitMQ", "see that it runs")]
EXTENSION = f"EXTEND_TIMEOUT_USEC={EXTEND_US}"


@pytest.fixture(params=["path", "abstract"])
def ear(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A socket that listens as systemd does, and what it puts into NOTIFY_SOCKET."""
    name = f"actors-{secrets.token_hex(8)}"
    address, told = (str(tmp_path / name),) * 2 if request.param == "path" else (f"\0{name}", f"@{name}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address)
        listening.setblocking(False)
        yield listening, told


def heard(listening: socket.socket) -> list[str]:
    """The words of the datagrams that have come, in order."""
    words: list[str] = []
    while True:
        try:
            words += listening.recv(10_000).decode().split("\n")
        except BlockingIOError:
            return words


def test_it_has_started_when_it_is_ready_first_and_needs_more_time_until_then(ear: tuple[socket.socket, str]) -> None:
    listening, address = ear
    manager = ServiceManager(address, is_watched=False)

    manager.tell(WELL, UNREADY)
    assert heard(listening) == ["STATUS=no channel to RabbitMQ", EXTENSION]
    manager.tell(WELL, UNREADY)
    assert heard(listening) == [EXTENSION]
    manager.tell(WELL, WELL)
    assert heard(listening) == ["STATUS=ready", "READY=1"]
    manager.tell(WELL, WELL)
    assert heard(listening) == []
    manager.tell(WELL, UNREADY)
    assert heard(listening) == ["STATUS=no channel to RabbitMQ"]
    manager.stopping()
    assert heard(listening) == ["STOPPING=1", "STATUS=stopping"]


def test_a_watchdog_hears_of_it_while_it_lives(ear: tuple[socket.socket, str]) -> None:
    listening, address = ear
    manager = ServiceManager(address, is_watched=True)

    manager.tell(WELL, WELL)
    assert heard(listening) == ["STATUS=ready", "WATCHDOG=1", "READY=1"]
    manager.tell(WELL, UNREADY)
    assert heard(listening) == ["STATUS=no channel to RabbitMQ", "WATCHDOG=1"]
    manager.tell(STUCK, WELL)
    assert heard(listening) == ["STATUS=a consumer hangs"]


def test_a_start_that_hangs_is_given_no_more_time(ear: tuple[socket.socket, str]) -> None:
    listening, address = ear

    ServiceManager(address, is_watched=True).tell(STUCK, UNREADY)

    assert heard(listening) == ["STATUS=a consumer hangs; no channel to RabbitMQ"]


def test_one_that_is_away_is_told_of_once_and_hears_all_when_it_is_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    address = str(tmp_path / "notify")
    manager = ServiceManager(address, is_watched=False)

    manager.tell(WELL, WELL)
    manager.tell(WELL, WELL)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address)
        listening.setblocking(False)
        manager.tell(WELL, WELL)
        assert heard(listening) == ["STATUS=ready", "READY=1"]


def test_whoever_has_started_this_process_is_named_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert ServiceManager.of_environment() is None
    monkeypatch.setenv("NOTIFY_SOCKET", "@somebody")
    assert ServiceManager.of_environment() is not None
