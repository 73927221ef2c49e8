"""What plain Dramatiq has delayed, after an upgrade and during it."""

import json
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import dramatiq
import pytest

import services
from actors.brokers.hold import now_ms
from actors.brokers.rabbitmq import RabbitmqBroker
from middleware import current
from services.deadline import until
from tests.integration.broker.conftest import Declare, MakeBroker, RunWorker
from tests.integration.broker.relays import HOUR_MS, running_relay

# An application as it was before: Dramatiq alone.
PLAIN = """
    import sys
    import time

    import dramatiq
    from dramatiq.brokers.rabbitmq import RabbitmqBroker

    assert "actors" not in sys.modules
    broker = RabbitmqBroker(url={url!r}, confirm_delivery=True)
    dramatiq.set_broker(broker)

    @dramatiq.actor(queue_name={queue!r})
    def job(number):
        print("ran", number, flush=True)
"""


class Sent(NamedTuple):
    """A message that plain Dramatiq has sent, and the earliest second in which it may run."""

    message_id: str
    due: float


class Plain:
    """Plain Dramatiq in a process of its own."""

    def __init__(self, url: str, queue: str) -> None:
        self._url = url
        self._queue = queue

    def run(self, then: str) -> str:
        ended = subprocess.run([sys.executable, "-c", self._program(then)], capture_output=True, text=True, timeout=60)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def send(self, *delays_ms: int) -> list[Sent]:
        """Send a message with each delay; their arguments are their numbers."""
        then = f"""
            for number, delay in enumerate({list(delays_ms)}):
                due = time.time() + delay / 1000
                print(job.send_with_options(args=(number,), delay=delay).message_id, due)
        """
        return [Sent(message_id, float(due)) for message_id, due in map(str.split, self.run(then).splitlines())]

    @contextmanager
    def worker(self) -> Iterator[subprocess.Popen[str]]:
        then = "dramatiq.Worker(broker, worker_threads=1).start(); print('started', flush=True); time.sleep(60)"
        process = subprocess.Popen([sys.executable, "-c", self._program(then)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "started\n"
            yield process
        finally:
            process.kill()
            process.wait()
            process.stdout.close()

    def _program(self, then: str) -> str:
        return textwrap.dedent(PLAIN).format(url=self._url, queue=self._queue) + textwrap.dedent(then)


@pytest.fixture
def plain(broker_url: str, prefix: str, channel: Any) -> Iterator[Plain]:
    queue = f"{prefix}.default"
    yield Plain(broker_url, queue)
    for suffix in ("", ".DQ", ".XQ"):
        channel.queue_delete(queue + suffix)


def messages_in(server: services.RabbitMQ, queue: str) -> int | None:
    """How many messages are in *queue*, ready or unacked; None if it does not exist."""
    return server.messages().get(queue)


def held(channel: Any, broker: RabbitmqBroker) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The messages in the hold queues: their bodies, and their headers."""
    found = []
    for queue in broker.engine.options.topology.holds().values():
        while (got := channel.basic_get(queue.name, auto_ack=True))[0] is not None:
            found.append((json.loads(got[2]), got[1].headers))
    return found


def test_what_was_delayed_before_the_upgrade_runs_when_it_is_due_and_once(
    plain: Plain, make_broker: MakeBroker, declare: Declare, run_worker: RunWorker, queue_type: str
) -> None:
    # Given 60 messages of plain Dramatiq, some of which are due before anything of ours runs
    sent = plain.send(*(100 * number for number in range(60)))
    # When our worker runs
    broker = make_broker(queue_type=queue_type)
    ran: list[tuple[int, str, float]] = []

    def job(number: int) -> None:
        ran.append((number, current().message.message_id, time.time()))

    declare(broker, job)
    run_worker(broker)
    # Then all run under their own ids, none twice, none early
    until(lambda: len(ran) >= 60, seconds=30, what="all of them")
    until(lambda: broker.get_queue_message_counts("default")[0] == 0, seconds=10, what="an empty queue")
    assert sorted((number, message_id) for number, message_id, _ in ran) == [
        (number, each.message_id) for number, each in enumerate(sent)
    ]
    assert min(at - sent[number].due for number, _, at in ran) >= 0


def test_a_message_keeps_its_time_and_all_else_in_a_hold_queue(
    plain: Plain, make_broker: MakeBroker, channel: Any, rabbitmq_server: services.RabbitMQ, prefix: str
) -> None:
    before = now_ms()
    sent = plain.send(HOUR_MS, 300 * 24 * HOUR_MS)
    broker = make_broker(middleware=[])
    broker.declare_queue("default")
    with running_relay(broker):
        until(lambda: messages_in(rabbitmq_server, f"{prefix}.default.DQ") == 0, seconds=10, what="an empty .DQ")

    found = {body["args"][0]: (body, headers) for body, headers in held(channel, broker)}
    assert {number: body["message_id"] for number, (body, _) in found.items()} == {
        number: each.message_id for number, each in enumerate(sent)
    }
    for number, delay_ms in enumerate([HOUR_MS, 300 * 24 * HOUR_MS]):
        body, headers = found[number]
        assert (body["queue_name"], body["actor_name"], body["options"]) == ("default", "job", {})
        assert headers["queue"] == "default"
        assert before + delay_ms <= headers["due"] <= now_ms() + delay_ms


def test_what_an_old_worker_had_in_memory_is_taken_over_when_it_is_killed(
    plain: Plain,
    make_broker: MakeBroker,
    declare: Declare,
    run_worker: RunWorker,
    rabbitmq_server: services.RabbitMQ,
    prefix: str,
) -> None:
    # Given a rolling upgrade: an old worker that keeps all delayed messages, and a new one beside it
    dq = f"{prefix}.default.DQ"
    with plain.worker() as old:
        plain.send(*[6_000] * 40)
        broker = make_broker()
        ran: list[int] = []
        declare(broker, ran.append, actor_name="job")
        run_worker(broker)
        until(lambda: rabbitmq_server.unacked()[dq] == 40, seconds=10, what="the old worker keeps all of them")
        # When the old one is killed
        old.kill()
        old.wait()
    # Then the new one runs them
    until(lambda: len(ran) >= 40, seconds=30, what="all of them")
    until(lambda: messages_in(rabbitmq_server, dq) == 0, seconds=10, what="an empty .DQ")
    assert sorted(ran) == list(range(40))


def test_what_can_not_be_read_becomes_a_dead_letter_byte_for_byte(
    plain: Plain, make_broker: MakeBroker, run_worker: RunWorker, channel: Any, prefix: str
) -> None:
    plain.send(1)
    bodies = [b"\xff\x00 not json", b"[]", json.dumps({"options": {"eta": 1}}).encode()]
    for body in bodies:
        channel.basic_publish("", f"{prefix}.default.DQ", body)
    broker = make_broker()
    broker.declare_queue("default")
    run_worker(broker)
    until(lambda: broker.get_queue_message_counts("default")[2] == 4, seconds=10, what="the dead letters")
    name = broker.engine.options.topology.dead("default").name
    found = [channel.basic_get(name, auto_ack=True)[2] for _ in range(4)]
    assert set(bodies) < set(found)


def test_what_has_no_time_runs_at_once(
    plain: Plain, make_broker: MakeBroker, declare: Declare, run_worker: RunWorker, channel: Any, prefix: str
) -> None:
    plain.send(1)
    broker = make_broker()
    ran: list[int] = []
    job = declare(broker, ran.append, actor_name="job")
    message: dramatiq.Message[None] = job.message(1)
    channel.basic_publish("", f"{prefix}.default.DQ", message.copy(queue_name=f"{prefix}.default.DQ").encode())
    run_worker(broker)
    until(lambda: sorted(ran) == [0, 1], seconds=10, what="both")


def test_a_delay_queue_that_does_not_exist_is_not_made(
    make_broker: MakeBroker, declare: Declare, run_worker: RunWorker, rabbitmq_server: services.RabbitMQ, prefix: str
) -> None:
    broker = make_broker()
    ran: list[int] = []
    declare(broker, ran.append, actor_name="job").send_with_options(args=(1,), delay=300)
    run_worker(broker)
    until(lambda: ran == [1], seconds=10, what="a delayed message of ours")
    assert messages_in(rabbitmq_server, f"{prefix}.default.DQ") is None


def test_what_can_not_be_moved_stays_where_it_was_and_holds_up_nothing_else(
    plain: Plain,
    make_broker: MakeBroker,
    declare: Declare,
    run_worker: RunWorker,
    channel: Any,
    rabbitmq_server: services.RabbitMQ,
    prefix: str,
) -> None:
    plain.send(1, HOUR_MS)
    broker = make_broker()
    broker.declare_queue("default")
    work = broker.engine.options.topology.work("default").name
    channel.queue_declare(work, durable=True, arguments={"x-max-length": 7})
    with running_relay(broker):
        until(
            lambda: messages_in(rabbitmq_server, f"{prefix}.default.DQ") == 1, seconds=10, what="the later one's move"
        )
        channel.queue_delete(work)
        until(lambda: messages_in(rabbitmq_server, work) == 1, seconds=10, what="the other, once its queue is in order")


def test_a_delay_queue_that_is_deleted_does_not_stop_the_relay(
    plain: Plain, make_broker: MakeBroker, declare: Declare, run_worker: RunWorker, channel: Any, prefix: str
) -> None:
    plain.send(1)
    broker = make_broker()
    ran: list[int] = []
    job = declare(broker, ran.append, actor_name="job")
    run_worker(broker)
    until(lambda: ran == [0], seconds=10, what="the one from before")
    channel.queue_delete(f"{prefix}.default.DQ")
    job.send_with_options(args=(1,), delay=300)
    until(lambda: ran == [0, 1], seconds=10, what="a delayed message of ours")


def test_a_delay_queue_that_may_not_be_read_does_not_stop_the_relay(
    plain: Plain, make_broker: MakeBroker, broker_url: str, rabbitmq_server: services.RabbitMQ, prefix: str
) -> None:
    plain.send(1)
    broker = make_broker(middleware=[])
    broker.declare_queue("default", ensure=True)
    rights = rf"^(?!.*\.DQ$)({prefix}|amq\.default).*"
    with rabbitmq_server.user(prefix, configure=rights, write=rights, read=rights) as url:
        limited = make_broker(middleware=[], url=url)
        limited.declare_queue("default")
        with running_relay(limited) as relay:
            broker.enqueue(dramatiq.Message("default", "job", (), {}, {}), delay=300)
            until(lambda: broker.get_queue_message_counts("default")[0] == 1, seconds=10, what="our delayed message")
            assert relay._session.last_error is None
    assert messages_in(rabbitmq_server, f"{prefix}.default.DQ") == 1
