"""The file of the queues, as a scheduler uses it."""

import pytest

from actors.brokers.outgoing import Outgoing
from actors.scheduling.sqlite import TickedFile
from services.deadline import until
from tests.integration.embedded.conftest import Declare, EmbeddedBroker, RunWorker


def test_a_queue_is_consumed_while_a_worker_takes_from_it(
    broker: EmbeddedBroker, declare: Declare, run_worker: RunWorker
) -> None:
    declare(broker, lambda: None, actor_name="job")
    file = TickedFile(broker.engine)
    assert not file.is_consumed("default")
    run_worker(broker)
    until(lambda: file.is_consumed("default"), seconds=20, what="a consumer")
    assert not file.is_consumed("reports")


def test_a_worker_is_rung_once_the_transaction_of_a_tick_is_committed(
    broker: EmbeddedBroker, declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = declare(broker, lambda: None, actor_name="job")
    rung: list[tuple[set[str], int]] = []
    # What is ready by then, as any other process would see it.
    monkeypatch.setattr(broker.engine, "ring", lambda queues: rung.append((queues, broker.engine.counts("default")[0])))
    file = TickedFile(broker.engine)
    with file.write() as connection:
        with file.write():
            file.put(connection, Outgoing(job.message(), job.message().encode(), None, None))
        assert rung == []
    assert rung == [({"default"}, 1)]

    with file.write():
        pass
    assert len(rung) == 1
