"""An application whose effects say what really happened, and the pages of its processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from services.deadline import until
from services.ports import free_port
from tests.integration.project import Project

OPENMETRICS = "application/openmetrics-text; version=1.0.0"

TASKS = """
    import os
    import time
    from datetime import timedelta
    from pathlib import Path

    from prometheus_client import Counter

    from actors import actor
    from middleware import current
    from periodic import every

    charged = Counter("shop_charged", "The application's own.")
    SOON = {"min_backoff": 10, "max_backoff": 20, "jitter": False}

    def note(line):
        with open("ran", "a") as ran:
            ran.write(f"{line}\\n")

    @actor
    def charge(number):
        charged.inc()
        note("charge done")

    @actor(**SOON)
    def flaky(number):
        if current().number < 3:
            note("flaky retried")
            raise ConnectionError
        note("flaky done")

    @actor(max_retries=1, **SOON)
    def broken(number):
        note("broken retried" if current().number == 1 else "broken dead")
        raise LookupError

    @actor(throws=(ValueError,))
    def picky(number):
        if not Path("mended").exists():
            note("picky dead")
            raise ValueError
        note("picky done")

    @actor(idempotency_key="once:{number}")
    def once(number):
        note("once done")

    @actor(idempotency_key="line:{number}", on_duplicate="wait")
    def line(number):
        time.sleep(0.2)
        note("line done")

    @actor(time_limit=100, max_retries=0)
    def slow(number):
        note("slow dead")
        while True:
            time.sleep(0.01)

    @actor
    def fan_out(number):
        for each in range(3):
            charge.send(each)
        note("fan_out done")

    @actor
    def hold(number):
        note("hold begun")
        while not Path("mended").exists():
            time.sleep(0.02)
        note("hold done")

    @actor(queue_name="ticks", periodic=every(timedelta(milliseconds=50)), idempotent=False)
    def tick():
        note("tick done")
"""

PRODUCER = """
    import sys
    from prometheus_client import REGISTRY
    from prometheus_client.openmetrics.exposition import generate_latest

    from actors import enqueue_many
    import shop_tasks as shop

    count = int(sys.argv[1])
    for _ in range(2):
        # Each is sent twice, with one key.
        enqueue_many([shop.once.message(number) for number in range(count)])
        enqueue_many([shop.line.message(number) for number in range(2)])
    enqueue_many([each.message(number) for each in (shop.charge, shop.flaky, shop.broken, shop.picky, shop.fan_out)
                  for number in range(count)])
    shop.charge.send_with_options(args=(0,), delay=50)
    for number in range(2):
        shop.hold.send(number)
        shop.slow.send(number)
    print(generate_latest(REGISTRY).decode())
"""

Numbers = dict[tuple[str, ...], float]


class Page:
    """What a page of metrics says."""

    def __init__(self, text: str) -> None:
        self._samples = [each for family in text_string_to_metric_families(text) for each in family.samples]

    def of(self, name: str, *labels: str, **where: str) -> Numbers:
        """The numbers called *name*, by the values of *labels*, where others are as said; all that are not 0."""
        found: Counter[tuple[str, ...]] = Counter()
        for each in self._samples:
            if each.name == name and all(each.labels[label] == value for label, value in where.items()):
                found[tuple(each.labels[label] for label in labels)] += each.value
        return {labels: value for labels, value in found.items() if value}

    def one(self, name: str, **where: str) -> float:
        return sum(self.of(name, **where).values())


class Shop:
    """The application, and its processes.

    Attributes:
        project: where they run.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self._worker = f"127.0.0.1:{free_port()}"
        project.env |= {
            "ACTORS_RUNTIME_DIR": str(project.folder / "run"),
            "ACTORS_IDEMPOTENCY_LEASE_MS": "1000",
        }
        (project.folder / "ran").touch()
        project.write("shop_tasks", TASKS)
        project.write("producer", PRODUCER)

    def effects(self) -> Counter[str]:
        """What has really happened, as the jobs themselves have noted it."""
        return Counter((self.project.folder / "ran").read_text().splitlines())

    def attempts(self) -> Numbers:
        """The same, as attempts by actor and outcome."""
        noted = self.effects().items()
        return {tuple(line.split()): count for line, count in noted if not line.endswith("begun")}

    def send(self, count: int) -> Page:
        """Send *count* of each kind; what the producer itself tells."""
        ended = self.project.python("producer.py", str(count))
        assert ended.returncode == 0, ended.stderr
        return Page(ended.stdout.strip() + "\n")

    def periodic(self, *arguments: str) -> str:
        """Run a command about schedules."""
        ended = self.project.python("-m", "periodic", *arguments)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def worker_page(self) -> Page:
        """What the worker command's processes tell together."""
        return page_at_address(self._worker)

    @contextmanager
    def workers(self, *queues: str) -> Iterator[None]:
        """Run a command with two worker processes; SIGKILL ends all of them at once."""
        arguments = ["-m", "dramatiq", "actors", "-p", "2", "-t", "4", "-Q", *queues]
        with _process(self.project, arguments, self._worker):
            yield

    @contextmanager
    def scheduler(self) -> Iterator[Scheduler]:
        """Run a replica; SIGKILL ends it."""
        with _process(self.project, ["-m", "periodic"], "127.0.0.1:0") as log:
            yield Scheduler(log)


def page_at_address(address: str) -> Page:
    """What is told there over HTTP."""
    connection = HTTPConnection(address, timeout=10)
    connection.request("GET", "/metrics", headers={"Accept": OPENMETRICS})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    return Page(text)


class Scheduler:
    """A replica, and its page."""

    def __init__(self, log: Path) -> None:
        found = until(
            lambda: re.search(r"probes are answered on 127\.0\.0\.1:(\d+)", log.read_text()),
            seconds=30,
            what="a word on probes",
        )
        assert found is not None
        self._address = f"127.0.0.1:{found[1]}"

    def page(self) -> Page:
        return page_at_address(self._address)

    @property
    def leads(self) -> bool:
        return self.page().one("actors_scheduler_is_leader") == 1


@contextmanager
def _process(project: Project, arguments: list[str], address: str) -> Iterator[Path]:
    log = project.folder / f"{len(list(project.folder.glob('*.log')))}.log"
    env: dict[str, Any] = {**project.env, "ACTORS_HEALTH_ADDRESS": address}
    with log.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=project.folder,
            env=env,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    try:
        yield log
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
