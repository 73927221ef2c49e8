"""A worker that is started again whenever it dies, as a supervisor does."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from services.deadline import until
from tests.integration.project import Project
from tests.warm import Forked, warm


class Supervised:
    """One ``dramatiq`` command, with one process of two threads, that is kept running.

    Attributes:
        log: where all its lives write.
        deaths: the exit statuses of those that have ended before it was stopped.
    """

    def __init__(self, project: Project, *arguments: str, **env: str) -> None:
        self.log = project.folder / "supervised.log"
        self.deaths: list[int] = []
        self._project = project
        self._command = ("-m", "dramatiq", *arguments, "--processes", "1", "--threads", "2")
        self._env = project.env | env
        self._is_stopping = False
        self._changing = threading.Lock()
        self._process = self._start()
        self._thread = threading.Thread(target=self._restart)
        self._thread.start()

    def stop(self) -> None:
        """End it with SIGTERM, and require status 0."""
        with self._changing:
            self._is_stopping = True
        try:
            self._process.terminate()
            assert self._process.wait(20) == 0, self.log.read_text()
        finally:
            self._process.kill_group()
            self._thread.join()

    def _restart(self) -> None:
        while True:
            status = self._process.wait()
            with self._changing:
                if self._is_stopping:
                    return
                self.deaths.append(status)
                self._process = self._start()

    def _start(self) -> Forked:
        return warm().start(*self._command, env=self._env, log=self.log, cwd=self._project.folder)


@contextmanager
def supervised(project: Project, broker: str = "actors", **env: str) -> Iterator[Supervised]:
    """Keep a worker of *broker* running for the block, which starts once it consumes."""
    worker = Supervised(project, broker, **env)
    try:
        until(lambda: project.consumers(**env) == 2, seconds=30, what="the worker's consumers")
        yield worker
    finally:
        worker.stop()
