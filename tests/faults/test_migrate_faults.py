"""``actors migrate`` is killed again and again: what was in the file is in RabbitMQ, and each message runs once."""

from __future__ import annotations

import json
import logging
import os
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from actors.brokers.buried import exhume
from actors.brokers.topology import QueueType
from middleware import Letter
from middleware.keys import digest
from middleware.stores import Claim, Ending, Outcome, Request
from services.deadline import until
from tests.faults.journal import Journal
from tests.faults.worker import Worker
from tests.integration.migrating.site import Site, soon
from tests.warm import warm

log = logging.getLogger(__name__)

KILLS = 4
# How long after the start of a batch the process is killed, at most, in seconds; a batch takes a tenth of that or more.
WITHIN_S = 0.12
QUEUED, DELAYED, DEAD, DONE = 4_000, 600, 600, 100
# When the first of the delayed messages is due, in milliseconds, and over how long they are spread.
FIRST_DUE_MS, SPREAD_MS = 20_000, 5_000


class Mover:
    """An ``actors migrate`` process."""

    def __init__(self, site: Site, env: dict[str, str], log_file: Path) -> None:
        command = ("-m", "actors", "migrate", "--from", site.url, "--json")
        to = ("--to", site.settings.broker_url[0], "--store", site.settings.store_url)
        self._log_file = log_file
        self._process = warm().start(*command, *to, env={**os.environ, **env}, log=log_file)

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        self._process.kill_group()
        self._process.wait(20)

    def told(self) -> dict[str, object]:
        """What it prints at its end, which must be a good one."""
        assert self._process.wait(60) == 0, self._log_file.read_text()
        told: dict[str, object] = json.loads(self._log_file.read_text())
        return told


@pytest.fixture(params=["quorum", pytest.param("classic", marks=pytest.mark.long)])
def outgrown(
    request: pytest.FixtureRequest, tmp_path: Path, broker_url: str, redis_url: str, prefix: str
) -> Iterator[Site]:
    queue_type: QueueType = request.param
    site = Site(tmp_path, broker_url, redis_url, prefix, queue_type=queue_type)
    yield site
    site.close()


def fill(site: Site) -> tuple[dict[int, int], list[Letter]]:
    """Send messages with the numbers from 0 on; return when those that are delayed are due, and the dead letters."""
    actors = ("outgrown_guarded", "outgrown_plain")
    for start in range(0, QUEUED, 500):
        site.send(*range(start, start + 500), actor=actors[start // 500 % 2])
    first, due = soon(FIRST_DUE_MS), {}
    for number in range(QUEUED, QUEUED + DELAYED):
        due[number] = first + random.randrange(SPREAD_MS)
        site.send(number, actor=actors[number % 2], due=due[number])
    return due, site.bury(*range(DEAD))


def send_copies_of_what_has_run(site: Site) -> None:
    """Send messages again that a worker of the file has run: their numbers are below 0."""
    sent = site.send(*range(-DONE, 0), actor="outgrown_guarded")
    asked = [
        Request(digest(each.actor_name, each.message_id), each.actor_name, each.message_id, each.message_id, "t")
        for each in sent
    ]
    _, answers = site.store.exchange([], asked)
    claims = [Claim(each, answer.fence) for each, answer in zip(asked, answers, strict=True)]
    site.store.exchange([Outcome(each, Ending.DONE) for each in claims], [])


def batch(site: Site) -> int:
    """The number of the newest batch of the migration; 0 before the first."""
    with closing(sqlite3.connect(site.file.path, timeout=10)) as connection:
        try:
            found = connection.execute("SELECT batch FROM actors_moving").fetchone()
        except sqlite3.OperationalError:
            return 0
    return int(found[0])


def kill_again_and_again(site: Site, env: dict[str, str], folder: Path) -> int:
    """Start movers, and kill each at a random instant after it has begun a batch; return how many that were."""
    killed = 0
    for number in range(KILLS):
        before = batch(site) + random.choice((0, 1))
        mover = Mover(site, env, folder / f"mover-{number}.log")
        until(lambda: not mover.runs or batch(site) > before, seconds=60, what="a batch")  # noqa: B023
        time.sleep(random.uniform(0, WITHIN_S))
        killed += mover.runs
        mover.kill()
        log.info("killed in batch %d, with %d messages left", batch(site), site.left())
    return killed


def test_each_message_runs_once_however_often_the_migration_is_killed(
    outgrown: Site, prefix: str, tmp_path: Path
) -> None:
    site = outgrown
    send_copies_of_what_has_run(site)
    due, letters = fill(site)
    journal = Journal(tmp_path / "journal")
    env = {"ACTORS_QUEUE_PREFIX": prefix, "ACTORS_QUEUE_TYPE": site.settings.queue_type, "JOURNAL": str(journal.path)}

    killed = kill_again_and_again(site, env, tmp_path)
    told = Mover(site, env, tmp_path / "last.log").told()

    assert (killed, told["is_over"], told["maybe_doubled"], site.left()) == (KILLS, True, 0, 0)
    dead = site.take(site.topology.dead("default"))
    assert sorted(exhume(each.properties, each.body, "default").id for each in dead) == sorted(
        each.id for each in letters
    )
    urls = {"ACTORS_BROKER_URL": site.settings.broker_url[0], "ACTORS_STORE_URL": site.settings.store_url}
    worker = Worker("tests.faults.outgrown", {**env, **urls}, tmp_path / "worker.log")
    try:
        until(lambda: len(journal.runs()) >= QUEUED + DELAYED, seconds=90, what="all messages")
        worker.terminate()
        worker.wait()
    finally:
        worker.kill()
    assert journal.runs() == Counter(range(QUEUED + DELAYED))
    first = journal.first_runs()
    assert [number for number, at in due.items() if first[number] * 1000 < at] == []
