"""Starts a worker again whenever it has died, as a deployment does."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.deployment import Deployment

# How long it takes to notice a death, in seconds.
LOOK_EVERY_S = 0.02


class Supervisor:
    """Keeps as many workers of *site* alive as there are when it begins.

    Attributes:
        deaths: how many have died.
    """

    def __init__(self, site: Deployment) -> None:
        self.deaths = 0
        self._site = site
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_EVERY_S):
            for worker in self._site.running():
                if worker.has_ended:
                    self._site.killed[worker.group] = time.time()
                    self.deaths += 1
                    self._site.start_one()


@contextmanager
def supervised(site: Deployment, workers: int) -> Iterator[Supervisor]:
    """Start *workers*, and let each that dies have a successor for the block; then stop them in an orderly way."""
    for _ in range(workers):
        site.start_one()
    supervisor = Supervisor(site)
    supervisor.start()
    try:
        yield supervisor
    finally:
        supervisor.stop()
    for worker in site.running():
        worker.wait_until_ready()  # before that, SIGTERM would be its death
    site.stop()
