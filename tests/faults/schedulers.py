"""Replicas of a scheduler of ``tests.faults.ticks`` on one RabbitMQ, and what they enqueued."""

import json
import random
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, takewhile
from pathlib import Path

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError

from actors.brokers.topology import QueueType, Topology
from periodic.missed import Missed
from periodic.roster import Roster
from periodic.watermark import Watermark
from services.deadline import until
from tests.faults.replica import Replica
from tests.faults.ticks import Plan
from tests.faults.worker import Worker

QUEUE = "default"
REPLICAS = 3

# A schedule's name, and the nominal time of a tick.
Key = tuple[str, datetime]


@dataclass(frozen=True)
class Enqueued:
    """What was in the work queue.

    Attributes:
        copies: how many messages each tick had.
        at: when each message was made, in order.
        ids: the message ids of each tick.
    """

    copies: Counter[Key] = field(default_factory=Counter)
    at: list[datetime] = field(default_factory=list)
    ids: dict[Key, set[str]] = field(default_factory=dict)

    @property
    def doubled(self) -> int:
        return self.copies.total() - len(self.copies)

    def silence_after(self, moment: datetime, *, within_s: float) -> timedelta:
        """The longest time between two messages, of those made since *moment*, within so many seconds, and the next."""
        end = moment + timedelta(seconds=within_s)
        later = [at for at in self.at if at > moment]
        count = sum(at <= end for at in later) + 1
        return max(after - before for before, after in pairwise([moment, *later[:count]]))


class Schedulers:
    """Replicas of one scheduler.

    Attributes:
        replicas: all that were started, also those that have ended.
        plan: the code of those that are started.
    """

    def __init__(self, url: str, store_url: str, prefix: str, folder: Path, plan: Plan, queue_type: QueueType) -> None:
        self.replicas: list[Replica] = []
        self.plan = plan
        self._url = url
        self._folder = folder
        self._topology = Topology(queue_type=queue_type, prefix=prefix)
        self._workers: list[Worker] = []
        self._journal = folder / "journal"
        self._env = {
            "ACTORS_BROKER_URL": url,
            "ACTORS_STORE_URL": store_url,
            "ACTORS_QUEUE_PREFIX": prefix,
            "ACTORS_QUEUE_TYPE": queue_type,
            "ACTORS_IDEMPOTENCY_LEASE_MS": "1000",
            "JOURNAL": str(self._journal),
        }

    def start(
        self, *, url: str | None = None, skew_s: int | None = None, folder: Path | None = None, **settings: str
    ) -> Replica:
        """Start a replica, and return at once.

        It connects to *url*, its clock is *skew_s* seconds ahead, and it runs in *folder*.
        """
        env = {**self._env, **self.plan.env(), **settings}
        if url is not None:
            env["ACTORS_BROKER_URL"] = url
        command = ["-m", "periodic", "tests.faults.ticks"]
        if skew_s is not None:
            command, env["SKEW_S"] = ["-m", "tests.faults.skewed"], str(skew_s)
        log_file = self._folder / f"replica-{len(self.replicas)}.log"
        self.replicas.append(Replica(command, env, log_file, folder=folder))
        return self.replicas[-1]

    def start_all(self, count: int = REPLICAS) -> None:
        """Start replicas, and wait until one leads and the others stand by."""
        for _ in range(count):
            self.start()
        self.wait_until_steady(count)

    def wait_until_steady(self, count: int = REPLICAS) -> None:
        """Wait until one replica leads, and the others that are to run stand by."""

        def steady() -> bool:
            running = [each for each in self.replicas if each.runs and not each.is_frozen]
            return (
                len(running) >= count
                and sum(each.leads for each in running) == 1
                and sum(each.is_standing_by for each in running) == len(running) - 1
            )

        until(steady, seconds=60, what="a leader, and others that stand by")

    @property
    def leader(self) -> Replica:
        """The replica that said last that it leads."""
        leading = [(each.led_at, each) for each in self.replicas if each.leads]
        return max(((at, each) for at, each in leading if at is not None), key=lambda pair: pair[0])[1]

    def kill_leaders(self, kills: int) -> list[datetime]:
        """SIGKILL so many leaders at random instants, each with two standing by; return when."""
        return [self.kill_leader() for _ in range(kills)]

    def kill_leader(self) -> datetime:
        """SIGKILL the leader at a random instant, with two standing by, and start another; return when it was."""
        self.wait_until_steady()
        time.sleep(random.uniform(0, 0.3))
        leader, killed = self.leader, datetime.now(UTC)
        leader.kill()
        # A machine that starts Python at the same time is busy with that.
        until(lambda: any(each.leads for each in self.replicas), seconds=20, what="another leader")
        self.start()
        return killed

    def wait_for_more(self, seconds: float = 1.0, *, within_s: float = 60) -> None:
        """Wait until ticks of so many seconds more are enqueued, or executed where there is a worker."""
        enough = self._progress() + seconds * self.plan.a_second
        until(lambda: self._progress() >= enough, seconds=within_s, what=f"the ticks of {seconds:g} s")

    def stop(self) -> list[int]:
        """SIGTERM all replicas, one after the other, and return their exit statuses."""
        return [replica.stop() for replica in self.replicas if replica.runs]

    def start_worker(self) -> None:
        log_file = self._folder / f"worker-{len(self._workers)}.log"
        self._workers.append(Worker("tests.faults.ticks", {**self._env, **self.plan.env()}, log_file))
        self._workers[-1].wait_until_ready()

    def executed(self) -> Counter[Key]:
        """How often each tick was executed."""
        lines = self._journal.read_text().rpartition("\n")[0].splitlines() if self._journal.exists() else []
        return Counter((words[0], datetime.fromisoformat(words[1])) for words in map(str.split, lines))

    def enqueued(self) -> Enqueued:
        """What is in the work queue, where no worker has run and no scheduler runs; it is empty afterwards."""
        found = Enqueued()
        with pika.BlockingConnection(pika.URLParameters(self._url)) as connection:
            channel = connection.channel()
            count = channel.queue_declare(self._work, passive=True).method.message_count
            for _, _, body in islice(channel.consume(self._work, auto_ack=True), count):
                message = json.loads(body)
                tick = message["options"]["tick"]
                key = tick["schedule"], datetime.fromisoformat(tick["time"])
                found.copies[key] += 1
                found.ids.setdefault(key, set()).add(message["message_id"])
                found.at.append(datetime.fromtimestamp(message["message_timestamp"] / 1000, UTC))
        found.at.sort()
        return found

    def expected(self, names: Iterable[str] | None = None) -> set[Key]:
        """The ticks that are due after the first leader came, and up to the watermark."""
        watermark, roster = self.watermark(), self.roster()
        began = min(entry.since for entry in roster.entries.values())
        schedules = [spec.schedule(str(spec.name), "faults_tick") for spec in self.plan.specs()]
        wanted = None if names is None else set(names)
        return {
            (tick.schedule, tick.time)
            for schedule in schedules
            if wanted is None or schedule.name in wanted
            for tick in takewhile(
                lambda tick: (tick.due, tick.schedule) <= (watermark.mark.due, watermark.mark.schedule),
                schedule.ticks_after(began),
            )
        }

    def watermark(self) -> Watermark:
        _, properties, _ = self._peek(self._topology.periodic().watermark.name)
        return Watermark.decode(properties.headers["watermark"])

    def roster(self) -> Roster:
        return Roster.decode(self._peek(self._topology.periodic().roster.name)[2])

    def missed(self) -> list[Missed]:
        with pika.BlockingConnection(pika.URLParameters(self._url)) as connection:
            got = connection.channel().basic_get(self._topology.periodic().missed.name)
            return [] if got[2] is None else [Missed.decode(got[2])]

    def close(self) -> None:
        for replica in self.replicas:
            replica.kill()
        for worker in self._workers:
            worker.kill()

    @property
    def _work(self) -> str:
        return self._topology.work(QUEUE).name

    def _peek(self, queue: str) -> tuple[object, pika.BasicProperties, bytes]:
        with pika.BlockingConnection(pika.URLParameters(self._url)) as connection:
            channel: BlockingChannel = connection.channel()
            got: tuple[object, pika.BasicProperties, bytes] = channel.basic_get(queue)
            assert got[0] is not None, f"{queue} is empty"
            return got

    def _progress(self) -> int:
        time.sleep(0.1)  # a machine that is asked all the time makes none
        if self._workers:
            return len(self.executed())
        try:
            with pika.BlockingConnection(pika.URLParameters(self._url)) as connection:
                return int(connection.channel().queue_declare(self._work, passive=True).method.message_count)
        except AMQPError:
            return 0
