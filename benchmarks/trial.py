"""One measurement, in a process of its own: ``python -m benchmarks.trial SYSTEM WHAT BROKER STORE PREFIX COUNT``."""

import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import dramatiq

from actors.brokers.rabbitmq import RabbitmqBroker
from benchmarks.systems import SYSTEMS, Servers, queue_name

THREADS = 8


class Job:
    """A no-op actor that tells when the last of *count* messages has run."""

    def __init__(self, broker: dramatiq.Broker, queue: str, count: int, options: Mapping[str, Any]) -> None:
        self.first = self.last = 0.0
        self.done = threading.Event()
        self._left = count
        self._lock = threading.Lock()
        self.actor: dramatiq.Actor[[int], None] = dramatiq.Actor(
            self._run, broker=broker, actor_name="noop", queue_name=queue, priority=0, options=dict(options)
        )

    def _run(self, number: int) -> None:
        with self._lock:
            if not self.first:
                self.first = time.perf_counter()
            self._left -= 1
            if self._left == 0:
                self.last = time.perf_counter()
                self.done.set()


def send(_: dramatiq.Broker, job: Job, count: int) -> float:
    """Send one by one from one thread; return seconds a message."""
    job.actor.send(0)
    started = time.perf_counter()
    for number in range(count):
        job.actor.send(number)
    return (time.perf_counter() - started) / count


def send_threads(_: dramatiq.Broker, job: Job, count: int) -> float:
    """Send one by one from each of eight threads; return seconds a message."""
    job.actor.send(0)
    parts = [range(offset, count, THREADS) for offset in range(THREADS)]
    threads = [threading.Thread(target=lambda part=part: [job.actor.send(n) for n in part]) for part in parts]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return (time.perf_counter() - started) / count


def send_many(broker: dramatiq.Broker, job: Job, count: int) -> float:
    """Send all at once, with ``enqueue_many`` where there is one; return seconds a message."""
    if not isinstance(broker, RabbitmqBroker):
        return send(broker, job, count)
    job.actor.send(0)
    started = time.perf_counter()
    broker.enqueue_many(job.actor.message(number) for number in range(count))
    return (time.perf_counter() - started) / count


def drain(broker: dramatiq.Broker, job: Job, count: int) -> dict[str, float]:
    """Run what is in the queue on eight threads; return seconds and CPU seconds a message, from first to last."""
    worker = dramatiq.Worker(broker, worker_threads=THREADS)
    cpu = time.process_time()
    worker.start()
    if not job.done.wait(300):
        raise TimeoutError("the queue was not drained within 300 s")
    cpu = time.process_time() - cpu
    worker.stop()
    return {"drain": (job.last - job.first) / count, "cpu": cpu / count}


SENDS: dict[str, Callable[[dramatiq.Broker, Job, int], float]] = {
    "send": send,
    "send, 8 threads": send_threads,
    "send many": send_many,
}


def main() -> None:
    """Print what was measured as JSON."""
    logging.disable(logging.CRITICAL)
    name, what, broker_url, store_url, prefix, count_text = sys.argv[1:]
    system, count = SYSTEMS[name], int(count_text)
    broker = system.make(Servers(broker_url, store_url, prefix))
    job = Job(broker, queue_name(system, prefix), count, system.options)
    measured: Any
    if what == "drain":
        fill = broker.enqueue_many if isinstance(broker, RabbitmqBroker) else lambda all_: [*map(broker.enqueue, all_)]
        fill(job.actor.message(number) for number in range(count))
        measured = drain(broker, job, count)
    else:
        measured = {what: SENDS[what](broker, job, count)}
    broker.close()
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
