"""What a worker process does at its start where it is to tell of itself."""

from pathlib import Path

import dramatiq
import pytest
from dramatiq.brokers.stub import StubBroker

from actors.configuration import read
from actors.health.probes import Probes
from middleware.stores.memory import MemoryStore


@pytest.fixture
def worker() -> dramatiq.Worker:
    return dramatiq.Worker(StubBroker(middleware=[]))


def probes(**settings: str) -> Probes:
    return Probes(lambda: read(settings), store=MemoryStore)


def test_without_an_address_it_does_nothing(worker: dramatiq.Worker, caplog: pytest.LogCaptureFixture) -> None:
    silent = probes()

    silent.before_worker_boot(worker.broker, worker)
    silent.after_worker_boot(worker.broker, worker)
    silent.before_worker_shutdown(worker.broker, worker)
    silent.after_worker_shutdown(worker.broker, worker)

    assert caplog.text == ""


def test_a_service_manager_that_can_not_be_told_is_a_warning(
    worker: dramatiq.Worker, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "@nobody")

    probes().before_worker_boot(worker.broker, worker)

    assert "NOTIFY_SOCKET is set, and ACTORS_HEALTH_ADDRESS is not" in caplog.text


@pytest.mark.parametrize("is_in_the_way", ["run", "run/_8081/workers"])
def test_a_directory_that_can_not_be_used_ends_the_process_with_status_2(
    is_in_the_way: str, worker: dramatiq.Worker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / is_in_the_way).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / is_in_the_way).touch()

    with pytest.raises(SystemExit) as ended:
        probes(health_address=":8081", runtime_dir=str(tmp_path / "run")).before_worker_boot(worker.broker, worker)

    assert ended.value.code == 2
    assert "ACTORS_RUNTIME_DIR: " in caplog.text
