"""What a worker notes of itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import dramatiq
import pytest
from dramatiq.brokers.stub import StubBroker as PlainStubBroker

from actors import actor
from actors.fleet import Report
from actors.fleet.heartbeat import Heartbeat
from actors.fleet.memory import MemoryFleet
from actors.fleet.report import State
from actors.testing import StubBroker, drain
from middleware import AttemptLog, Attempts
from services.deadline import until


def test_what_runs_is_known_while_it_runs_and_not_any_more(stub_broker: StubBroker) -> None:
    [heartbeat] = [each for each in stub_broker.middleware if isinstance(each, Heartbeat)]
    seen: list[str] = []

    @actor(max_retries=0)
    def charge(number: int) -> None:
        seen.extend(message.message_id for _, message in heartbeat._running.values())
        if number == 2:
            raise ValueError

    messages = [charge.send(1), charge.send(2)]
    drain(raises=False)
    assert seen == [each.message_id for each in messages]
    assert heartbeat._running == {}


def test_what_does_not_run_is_not_noted(stub_broker: StubBroker) -> None:
    [heartbeat] = [each for each in stub_broker.middleware if isinstance(each, Heartbeat)]

    class Skips(dramatiq.Middleware):
        def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
            raise dramatiq.middleware.SkipMessage("not today")

    stub_broker.add_middleware(Skips())  # behind ours

    @actor
    def charge() -> None: ...

    charge.send()
    drain(raises=False)
    assert heartbeat._running == {}


class Plain:
    """Dramatiq's own broker, with a worker and the heartbeat."""

    def __init__(self) -> None:
        self.fleet = MemoryFleet()
        self.heartbeat = Heartbeat(
            fleet=lambda: self.fleet,
            identity=lambda: {"broker": "stub"},
            version=lambda: "1.2",
            fields=AttemptLog(version=lambda: "1.2").fields,
        )
        self.heartbeat.beat_every_s = 0.02
        self.broker = PlainStubBroker(middleware=[Attempts([self.heartbeat.hear]), self.heartbeat])
        self.broker.declare_queue("default")
        self.worker = dramatiq.Worker(self.broker, worker_threads=2, worker_timeout=20)

    def reports(self) -> list[Report]:
        return [Report.decode(each.text) for each in self.fleet.members()]

    def told(self, **fields: Any) -> Report:
        """What it tells once it has these values."""

        def found() -> list[Report]:
            return [
                each for each in self.reports() if all(getattr(each, name) == value for name, value in fields.items())
            ]

        return until(found, seconds=10, what=f"a report with {fields}")[0]


@pytest.fixture
def plain() -> Iterator[Plain]:
    plain = Plain()
    yield plain
    if plain.reports():
        plain.worker.stop(timeout=5_000)
    plain.broker.close()


def test_on_any_broker_it_tells_what_a_worker_does_from_its_start_to_its_end(plain: Plain) -> None:
    def charge(seconds: float) -> None:
        time.sleep(seconds)
        if not seconds:
            raise ValueError("nothing to charge")

    charging: Any = dramatiq.Actor(
        charge, broker=plain.broker, actor_name="charge", queue_name="default", priority=0, options={}
    )
    plain.worker.start()
    told = plain.told(state=State.CONSUMING, queues=["default"])
    assert (told.version, told.threads, told.identity, told.running) == ("1.2", 2, {"broker": "stub"}, ())
    assert told.memory_mib > 10

    message = charging.send(0.3)
    [running] = until(lambda: plain.reports()[0].running, seconds=10, what="what runs")
    assert (running.message_id, running.actor, running.attempt) == (message.message_id, "charge", 1)
    assert 0 <= plain.reports()[0].at - running.since < 10_000
    assert plain.told(outcomes={"done": 1}).failed == 0

    charging.send(0)
    told = plain.told(failed=1)
    assert told.actors["charge"].ended == 2

    charging.send(0.3)
    until(lambda: plain.reports()[0].running, seconds=10, what="what runs")
    plain.heartbeat.before_worker_shutdown(plain.broker, plain.worker)
    plain.told(state=State.DRAINING)
    plain.worker.stop(timeout=5_000)
    assert plain.reports() == []


def test_a_process_without_a_worker_tells_nothing(plain: Plain) -> None:
    plain.heartbeat.hear([])
    plain.heartbeat.before_worker_shutdown(plain.broker, plain.worker)
    plain.heartbeat.after_worker_shutdown(plain.broker, plain.worker)
    assert plain.reports() == []


def test_a_consumer_that_takes_nothing_says_why(plain: Plain) -> None:
    plain.worker.start()
    plain.told(state=State.CONSUMING)
    consumer: Any = until(
        lambda: next(iter(plain.worker.consumers.values())).consumer, seconds=10, what="a consumer of the worker"
    )
    consumer.problem, consumer.in_hand = "RabbitMQ does not answer", 3
    told = plain.told(state=State.PAUSED)
    assert (told.why, told.in_hand) == ("RabbitMQ does not answer", {"default": 3})
