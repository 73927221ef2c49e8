"""Real workers, and a producer that notes what each send said."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from actors.assembly import middleware
from actors.brokers.nodes import Nodes
from actors.brokers.rabbitmq import RabbitmqBroker, RabbitmqOptions
from actors.brokers.topology import QueueType, Topology
from actors.decorator import Actor
from actors.errors import EnqueueError
from services.deadline import until
from tests.faults.jobs import record


@dataclass
class Producer:
    """Sends numbers from several threads, and notes which were confirmed, and which were refused and how."""

    broker: RabbitmqBroker
    confirmed: set[int] = field(default_factory=set)
    maybe: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)

    def send(self, number: int, *, delay_ms: int | None = None) -> None:
        message = self.broker.get_actor("record").message(number)
        try:
            self.broker.enqueue(message, delay=delay_ms)
        except EnqueueError as error:
            (self.maybe if error.maybe_enqueued else self.refused).add(number)
        else:
            self.confirmed.add(number)

    def start(self, numbers: range, *, threads: int, each_s: float) -> Callable[[], None]:
        """Send *numbers*, pausing *each_s* seconds after each; return a function that waits for the end."""

        def run(part: range) -> None:
            for number in part:
                self.send(number)
                time.sleep(each_s)

        senders = [threading.Thread(target=run, args=[numbers[offset::threads]]) for offset in range(threads)]
        for sender in senders:
            sender.start()

        def wait() -> None:
            for sender in senders:
                sender.join(120)

        return wait

    @property
    def answered(self) -> int:
        return len(self.confirmed) + len(self.maybe) + len(self.refused)


@dataclass
class Journal:
    """What the workers' actors did."""

    path: Path

    def runs(self) -> Counter[int]:
        return Counter(number for number, _ in self._lines())

    def first_runs(self) -> dict[int, float]:
        """When each number ran first, in seconds since the Unix epoch."""
        return dict(reversed(self._lines()))

    def _lines(self) -> list[tuple[int, float]]:
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        return [(int(number), float(at)) for number, at in map(str.split, lines)]

    def reaches(self, count: int) -> bool:
        return len(self.runs()) > count


class Workers:
    """``dramatiq`` commands on one broker."""

    def __init__(self, url: str, prefix: str, queue_type: QueueType, folder: Path) -> None:
        self.journal = Journal(folder / "journal")
        self._log = folder / "workers.log"
        self._env = {
            **os.environ,
            "ACTORS_BROKER_URL": url,
            "ACTORS_QUEUE_PREFIX": prefix,
            "ACTORS_QUEUE_TYPE": queue_type,
            "JOURNAL": str(self.journal.path),
        }
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        command = [str(Path(sys.executable).parent / "dramatiq"), "actors", "tests.faults.jobs", "-p", "1", "-t", "8"]
        with self._log.open("ab") as log:
            worker = subprocess.Popen(command, env=self._env, stdout=log, stderr=log, start_new_session=True)
        self._running.append(worker)
        return worker

    def kill(self, worker: subprocess.Popen[bytes]) -> None:
        """SIGKILL the command and its processes, as the machine's death would."""
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait(10)
        self._running.remove(worker)

    @property
    def newest(self) -> subprocess.Popen[bytes]:
        return self._running[-1]

    def close(self) -> None:
        for worker in list(self._running):
            self.kill(worker)

    def log(self) -> str:
        return self._log.read_text()


@pytest.fixture
def start_workers(tmp_path: Path) -> Iterator[Callable[..., Workers]]:
    started: list[Workers] = []

    def start(url: str, prefix: str, queue_type: QueueType = "quorum", count: int = 1) -> Workers:
        workers = Workers(url, prefix, queue_type, tmp_path)
        started.append(workers)
        for _ in range(count):
            workers.start()
        until(lambda: workers.log().count("ready for action") == count, seconds=30, what="workers")
        return workers

    yield start
    for workers in started:
        workers.close()


@pytest.fixture
def make_producer() -> Iterator[Callable[..., Producer]]:
    brokers: list[RabbitmqBroker] = []

    def make(url: str, prefix: str, queue_type: QueueType = "quorum", publish_timeout_s: float = 10.0) -> Producer:
        options = RabbitmqOptions(
            Nodes([url]), Topology(queue_type=queue_type, prefix=prefix), publish_timeout_s=publish_timeout_s
        )
        broker = RabbitmqBroker(lambda: options, middleware=middleware()[1:])
        Actor(record.fn, broker=broker, actor_name="record", queue_name="default", priority=0, options={})
        brokers.append(broker)
        return Producer(broker)

    yield make
    for broker in brokers:
        broker.close()
