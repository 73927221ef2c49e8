"""How ticks end in workers, and what is kept of that in RabbitMQ."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import dramatiq
import pika
import pytest

import services
from actors.brokers.admin import Admin
from actors.brokers.publisher import Publication
from actors.brokers.rabbitmq import RabbitmqBroker
from actors.brokers.topology import MOST_RUNS
from actors.decorator import Actor
from actors.operating.tick_records import TickRecords
from middleware import TickRun, current
from middleware.keys import digest
from middleware.stores.redis import RedisStore
from periodic.pace import Pace
from services.deadline import until
from tests.integration.broker.conftest import MakeBroker, make_broker, queue_type, store

__all__ = ["make_broker", "queue_type", "store"]

TIME = "2030-01-01T09:00:00+00:00"


class Workshop:
    """One process: it sends ticks to itself, and looks at what is kept of them."""

    def __init__(self, broker: RabbitmqBroker) -> None:
        self.broker = broker
        self.topology = broker.engine.options.topology

    def declare(self, fn: Callable[..., Any], **options: Any) -> Actor[..., Any]:
        name = options.pop("actor_name", "job")
        return Actor(fn, broker=self.broker, actor_name=name, queue_name="default", priority=0, options=options)

    def send(self, job: Actor[..., Any], *args: Any, pace: str = "days", **tick: str) -> dramatiq.Message[Any]:
        message = job.message(*args)
        told = {"schedule": "nightly", "time": TIME, "pace": pace, **tick}
        return self.broker.enqueue(message.copy(options={**message.options, "tick": told}))

    @contextmanager
    def working(self, threads: int = 2) -> Iterator[None]:
        worker = dramatiq.Worker(self.broker, worker_threads=threads, worker_timeout=50)
        worker.start()
        try:
            yield
        finally:
            worker.stop(timeout=10_000)

    def runs(self, name: str = "nightly") -> list[TickRun]:
        with Admin(self.broker.engine.options.nodes, timeout_s=20) as admin:
            return TickRecords(admin, self.topology).runs({name})

    def depth(self, pace: Pace) -> int:
        with Admin(self.broker.engine.options.nodes, timeout_s=20) as admin:
            depth = admin.depth(self.topology.runs(pace))
        return -1 if depth is None else depth.messages

    def records(self, count: int) -> list[TickRun]:
        """The records, once there are so many."""
        return until(lambda: runs if len(runs := self.runs()) >= count else [], seconds=20, what=f"{count} records")

    @property
    def left(self) -> tuple[int, int]:
        """How many messages wait, and how many are dead letters."""
        ready, _, dead = self.broker.get_queue_message_counts("default")
        return ready, dead


@pytest.fixture
def workshop(make_broker: MakeBroker, queue_type: str, broker_url: str) -> Iterator[Workshop]:
    workshop = Workshop(make_broker(queue_type=queue_type))
    yield workshop
    with pika.BlockingConnection(pika.URLParameters(broker_url)) as connection:
        for pace in Pace:
            connection.channel().queue_delete(workshop.topology.runs(pace).name)


def fail() -> NoReturn:
    raise ValueError("no luck")


def test_a_done_tick_is_kept_with_its_result_and_a_failed_one_with_its_error(workshop: Workshop) -> None:
    done = workshop.send(workshop.declare(lambda: 7))
    with workshop.working():
        workshop.records(1)
        failed = workshop.send(workshop.declare(fail, actor_name="failing", max_retries=1, min_backoff=1))
        first, second = workshop.records(2)

    assert (first.message_id, first.outcome, first.result, first.attempt) == (done.message_id, "done", "7", 1)
    assert (second.message_id, second.outcome, second.attempt) == (failed.message_id, "failed", 2)
    assert second.error == "ValueError: no luck"
    assert (first.time, first.by) == (TIME, "schedule")
    until(lambda: workshop.left == (0, 1), seconds=10, what="the dead letter")


def test_a_redelivered_copy_of_what_is_done_adds_nothing(workshop: Workshop) -> None:
    job = workshop.declare(lambda: None)
    message = workshop.send(job)
    with workshop.working():
        workshop.records(1)
        workshop.broker.enqueue(message)
        workshop.send(job, time="2030-01-02T09:00:00+00:00")
        until(lambda: workshop.left == (0, 0), seconds=10, what="the end of the copy")
        runs = workshop.records(2)
    assert len(runs) == 2


def test_looking_leaves_the_records_where_they_are(workshop: Workshop) -> None:
    job = workshop.declare(lambda number: number)
    for number in range(20):
        workshop.send(job, number, time=f"2030-01-01T09:00:{number:02}+00:00")
    with workshop.working(threads=1):
        first = workshop.records(20)
    assert workshop.runs() == first
    assert sorted(int(run.result) for run in first) == list(range(20))
    until(lambda: workshop.depth(Pace.DAYS) == 20, seconds=10, what="the records in their queue")


def test_what_runs_each_second_does_not_push_out_what_runs_each_day(workshop: Workshop) -> None:
    # Given the record of a daily job, and as many of another as are kept, and one more
    job = workshop.declare(lambda: None)
    workshop.send(job, schedule="daily", pace="days")
    with workshop.working():
        until(lambda: workshop.depth(Pace.DAYS) == 1, seconds=20, what="the record of the daily job")
        workshop.send(job, schedule="pulse", pace="seconds")
        until(lambda: workshop.depth(Pace.SECONDS) == 1, seconds=20, what="the record of the other")
    body = TickRun("pulse", TIME, "schedule", "m", "job", "done", 5, 3, 2, 1, "w").encode()
    queue = workshop.topology.runs(Pace.SECONDS).name
    many = [Publication(queue, body, pika.BasicProperties(message_id=str(number))) for number in range(MOST_RUNS)]
    assert workshop.broker.engine.publisher.publish(many, 60) == []

    # Then the oldest has made room, and the daily job's is there
    until(lambda: workshop.depth(Pace.SECONDS) == MOST_RUNS, seconds=20, what="the drop of the oldest")
    assert {run.message_id for run in workshop.runs("pulse")} == {"m"}
    assert len(workshop.runs("daily")) == 1


def test_a_queue_of_records_that_is_deleted_costs_no_job(workshop: Workshop, broker_url: str) -> None:
    ran: list[int] = []
    job = workshop.declare(ran.append)
    workshop.send(job, 1)
    with workshop.working():
        workshop.records(1)
        with pika.BlockingConnection(pika.URLParameters(broker_url)) as connection:
            connection.channel().queue_delete(workshop.topology.runs(Pace.DAYS).name)
        workshop.send(job, 2, time="2030-01-02T09:00:00+00:00")
        until(lambda: workshop.left == (0, 0) and len(ran) == 2, seconds=20, what="the second job")
        workshop.send(job, 3, time="2030-01-03T09:00:00+00:00")
        workshop.records(1)
    assert ran == [1, 2, 3]


def test_a_queue_of_records_with_other_arguments_is_used_as_it_is(workshop: Workshop, broker_url: str) -> None:
    queue = workshop.topology.runs(Pace.DAYS)
    with pika.BlockingConnection(pika.URLParameters(broker_url)) as connection:
        arguments = {**queue.arguments, "x-max-length": 3}
        connection.channel().queue_declare(queue.name, durable=True, arguments=arguments)
    ran: list[int] = []
    job = workshop.declare(ran.append)
    for number in range(2):
        workshop.send(job, number, time=f"2030-01-01T09:00:{number:02}+00:00")
    with workshop.working():
        workshop.records(2)
    assert sorted(ran) == [0, 1]


def test_a_user_who_may_not_keep_records_runs_jobs_all_the_same(
    make_broker: MakeBroker, rabbitmq_server: services.RabbitMQ, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    pattern = f"^(amq\\.|{prefix}\\.(?!periodic)).*"
    ran: list[int] = []
    with rabbitmq_server.user(prefix, configure=pattern, write=".*", read=".*") as url:
        workshop = Workshop(make_broker(url=url))
        job = workshop.declare(ran.append)
        for number in range(5):
            workshop.send(job, number, time=f"2030-01-01T09:00:{number:02}+00:00")
        with workshop.working(threads=1):
            until(lambda: len(ran) == 5 and workshop.left == (0, 0), seconds=30, what="all jobs")
    assert [record for record in caplog.messages if "runs of ticks are not recorded for 60 s" in record]
    assert caplog.text.count("runs of ticks are not recorded") == 1


@pytest.mark.parametrize("pace", ["", "weeks", "../default"])
def test_a_pace_that_nobody_knows_costs_no_job_and_makes_no_queue(
    workshop: Workshop, pace: str, caplog: pytest.LogCaptureFixture
) -> None:
    ran: list[int] = []
    workshop.send(workshop.declare(ran.append), 1, pace=pace)
    with workshop.working():
        until(lambda: ran and workshop.left == (0, 0), seconds=20, what="the job")
    assert [workshop.depth(each) for each in Pace] == [-1] * len(Pace)
    assert "unexpected failure" not in caplog.text


def test_a_run_that_does_not_count_is_not_recorded(workshop: Workshop, store: RedisStore) -> None:
    """Nothing follows an attempt whose key was taken from it: an operator has called it done meanwhile."""

    def job(number: int) -> int:
        if number == 1:
            store.complete(digest("job", current().message.message_id), force=True)
        return number

    declared = workshop.declare(job)
    workshop.send(declared, 1)
    with workshop.working():
        until(lambda: workshop.left == (0, 0), seconds=10, what="the end of the first")
        workshop.send(declared, 2, time="2030-01-02T09:00:00+00:00")
        assert [run.result for run in workshop.records(1)] == ["2"]
