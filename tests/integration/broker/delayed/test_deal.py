"""Cancelling delayed messages, and running them now, wherever they are."""

import threading
from collections.abc import Sequence
from typing import Any

import dramatiq
import pytest
from dramatiq.errors import ConnectionFailed

import services
from actors.brokers.admin import Admin
from actors.brokers.asking import Asking
from actors.brokers.delays import PREFETCH
from actors.brokers.hold import Held, now_ms
from actors.brokers.inquiry import Inquiry
from actors.brokers.peek import Peek
from actors.brokers.walk import Errand, Walk
from actors.delayed import Delayed, Found
from middleware.keys import digest
from middleware.stores import State
from middleware.stores.redis import RedisStore
from services.deadline import until
from tests.integration.broker.conftest import Declare, MakeBroker, RunWorker, full
from tests.integration.broker.delayed.conftest import Looking, StartRelay
from tests.integration.broker.relays import HOUR_HOLD_MS, HOUR_MS, kept, listens, names, ready, send


@pytest.mark.parametrize("are_kept", [True, False])
def test_a_cancelled_message_is_gone_and_all_others_stay(
    make_broker: MakeBroker, start_relay: StartRelay, looking: Looking, are_kept: bool, queue_type: str
) -> None:
    broker = make_broker(queue_type=queue_type, middleware=[])
    for name in ("a", "b", "c"):
        send(broker, name, HOUR_MS)
    relay = start_relay(broker) if are_kept else None
    if relay is not None:
        until(lambda: len(kept(relay)) == 3, seconds=10, what="the relay keeps all of them")
    noted: list[Found] = []
    dealt = looking(broker).cancel(["b", "nobody"], noted.append)
    assert [(found.message.message_id, found.problem) for found in dealt.found] == [("b", None)]
    assert noted == dealt.found
    assert dealt.missing == ["nobody"]
    assert names(looking(broker).look()) == ["a", "c"]
    assert looking(broker).cancel(["b"]).missing == ["b"]
    if relay is not None:
        relay.stop()
        until(lambda: names(looking(broker).look()) == ["a", "c"], seconds=10, what="what the relay gives back")


@pytest.mark.parametrize("are_kept", [True, False])
def test_a_message_that_is_run_now_runs_now_and_not_again_when_it_is_due(
    make_broker: MakeBroker,
    declare: Declare,
    run_worker: RunWorker,
    start_relay: StartRelay,
    looking: Looking,
    are_kept: bool,
) -> None:
    broker = make_broker()
    ran: list[str] = []
    job = declare(broker, ran.append, actor_name="job")
    relay = start_relay(broker) if are_kept else None
    until(lambda: relay is None or listens(relay), seconds=10, what="the relay")
    sent = {name: job.send_with_options(args=(name,), delay=5_000).message_id for name in ("a", "b")}
    until(lambda: relay is None or len(kept(relay)) == 2, seconds=4, what="the relay keeps both")
    dealt = looking(broker).run_now([sent["b"]])
    assert ([found.message.message_id for found in dealt.found], dealt.missing) == ([sent["b"]], [])
    assert ready(broker) == 1
    run_worker(broker)
    until(lambda: "b" in ran, seconds=10, what="the one that was to run now")
    until(lambda: "a" in ran, seconds=10, what="the other one, when it is due")
    assert looking(broker).look().messages == []
    assert ran == ["b", "a"]


def test_a_retry_that_is_run_now_does_not_wait_for_its_own_key(
    make_broker: MakeBroker,
    declare: Declare,
    run_worker: RunWorker,
    looking: Looking,
    store: RedisStore,
) -> None:
    # Given a message whose retry is due in an hour, and a key that waits for it
    broker = make_broker()
    attempts: list[int] = []

    def fail_once() -> None:
        attempts.append(1)
        if len(attempts) == 1:
            raise RuntimeError("not yet")

    sent = declare(broker, fail_once, min_backoff=2 * HOUR_MS, max_backoff=2 * HOUR_MS).send()
    run_worker(broker)
    until(lambda: len(looking(broker).look().messages) == 1, seconds=10, what="the retry")
    record = store.inspect(digest("fail_once", sent.message_id))
    assert record is not None
    assert record.state is State.WAITING
    [retry] = looking(broker).look().messages
    assert (retry.message_id, retry.actor, retry.retries) == (sent.message_id, "fail_once", 1)
    # When it is run now
    assert looking(broker).run_now([sent.message_id]).missing == []
    # Then it runs, once
    until(lambda: len(attempts) == 2, seconds=10, what="the second attempt")
    until(lambda: ready(broker) == 0, seconds=10, what="its ack")
    assert looking(broker).look().messages == []


def test_all_copies_of_a_message_are_dealt_with(
    make_broker: MakeBroker, start_relay: StartRelay, looking: Looking
) -> None:
    broker = make_broker(middleware=[])
    send(broker, "twin", HOUR_MS)
    relay = start_relay(broker)
    until(lambda: len(kept(relay)) == 1, seconds=10, what="the relay keeps one")
    for number in range(PREFETCH):
        send(broker, f"m{number}", HOUR_MS)
    until(lambda: len(kept(relay)) == PREFETCH, seconds=10, what="a full relay")
    send(broker, "twin", HOUR_MS)
    send(broker, "twin", 24 * HOUR_MS)
    dealt = looking(broker).cancel(["twin", "twin"])
    assert [found.message.message_id for found in dealt.found] == ["twin"] * 3
    assert "twin" not in names(looking(broker).look())


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_message_that_can_not_be_released_waits_on_and_says_why(
    make_broker: MakeBroker, start_relay: StartRelay, looking: Looking, channel: Any, is_kept: bool, prefix: str
) -> None:
    broker = make_broker(middleware=[])
    work = broker.engine.options.topology.work("default").name
    channel.queue_declare(work, durable=True, arguments={"x-max-length": 7})
    send(broker, "stuck", HOUR_MS)
    if is_kept:
        relay = start_relay(broker)
        until(lambda: kept(relay) == ["stuck"], seconds=10, what="the relay keeps it")
    dealt = looking(broker).run_now(["stuck"])
    [found] = dealt.found
    assert found.problem is not None
    assert "exists with" in found.problem
    assert dealt.missing == []
    until(lambda: names(looking(broker).look()) == ["stuck"], seconds=10, what="it waits on")


def test_a_message_that_is_refused_while_its_time_passes_waits_on(
    make_broker: MakeBroker, start_relay: StartRelay, rabbitmq_server: services.RabbitMQ, prefix: str
) -> None:
    # Given a message that a relay releases by order, to a queue that is full, just when it is due anyway
    broker = make_broker(middleware=[], queue_type="classic")
    broker.declare_queue("default", ensure=True)
    with full(rabbitmq_server, prefix, "default$"):
        relay = start_relay(broker)
        until(lambda: listens(relay), seconds=10, what="the relay")
        due = now_ms() + 3_000
        send(broker, "stuck", 3_000)
        until(lambda: kept(relay) == ["stuck"], seconds=2, what="the relay keeps it")
        go_on = threading.Event()

        def block() -> None:
            go_on.wait(60)

        assert broker.engine.publisher._session is not None
        broker.engine.publisher._session.call_soon(block)
        with Admin(broker.engine.options.nodes, timeout_s=10) as admin:
            asking = Asking(admin, broker.engine.options.topology, patience_s=0.1)
            asking.ask(Inquiry("run-now", broker.engine.options.topology.hold(1_600).name, frozenset({"stuck"})), 1)
        until(lambda: kept(relay) == [] and now_ms() > due, seconds=10, what="a relay that waits for the confirm")
        go_on.set()
    # Then it moves on all the same
    until(lambda: ready(broker) == 1, seconds=20, what="it in its work queue")


def test_a_message_that_is_in_other_hands_is_looked_for_once_more(
    make_broker: MakeBroker, looking: Looking, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = make_broker(middleware=[])
    send(broker, "mine", HOUR_MS)
    options = broker.engine.options
    with Admin(options.nodes, timeout_s=30) as admin:
        other = Peek(admin, options.topology.hold(HOUR_HOLD_MS), 10, lambda held: None)
        with other:
            assert other.taken == 1
            go = Walk.go

            def go_and_give_back(*args: Any) -> Any:
                looked = go(*args)
                other.__exit__(None, None, None)
                return looked

            monkeypatch.setattr(Walk, "go", go_and_give_back)
            assert looking(broker).cancel(["mine"]).missing == []


def test_a_message_is_met_though_it_moves_on_all_the_time(
    make_broker: MakeBroker, start_relay: StartRelay, looking: Looking
) -> None:
    """The walk goes the way that messages go; what is under way when a relay is asked has been where it was before."""
    broker = make_broker(middleware=[])
    broker.declare_queue("default", ensure=True)
    relay = start_relay(broker)
    send(broker, "first", HOUR_MS)
    until(lambda: kept(relay) == ["first"], seconds=10, what="the relay")
    sent = ["first"]
    enough = threading.Event()
    due = now_ms() + 6_200
    looks = 0

    def send_on() -> None:
        while not enough.wait(0.01):
            send(broker, f"m{len(sent):03}", 6_200)
            sent.append(f"m{len(sent):03}")

    # From 3.2 s on some are on their way to another hold queue at any time; at 6.2 s the first is due.
    producer = threading.Thread(target=send_on)
    producer.start()
    try:
        while now_ms() < due:
            before = set(sent)
            listed = names(looking(broker).look(limit=1_000))
            if now_ms() < due:
                assert before - set(listed) == set()
                assert len(set(listed)) == len(listed)
                looks += 1
    finally:
        enough.set()
        producer.join()
    assert looks > 2
    # What was looked at so often is all there, and once.
    cancelled = looking(broker).cancel(sent[-100:])
    assert (len(cancelled.found), cancelled.missing) == (100, [])
    until(lambda: ready(broker) == len(sent) - 101, seconds=30, what="all others in their work queue")


def test_what_was_dropped_on_a_channel_that_is_lost_is_noted_as_unsure(make_broker: MakeBroker) -> None:
    broker = make_broker(middleware=[])
    send(broker, "mine", HOUR_MS)
    options = broker.engine.options
    noted: list[Found] = []
    with Admin(options.nodes, timeout_s=5) as admin:

        def drop_and_fail(named: Sequence[Held]) -> list[Found]:
            for held in named:
                held.ack()
                held.channel.close()
            return [Found(Delayed.of(held)) for held in named]

        walk = Walk(admin, options.topology, depth=10)
        with pytest.raises(ConnectionFailed):
            walk.go(Errand("cancel", frozenset({"mine"}), drop_and_fail), noted.append)
    [found] = noted
    assert found.message.message_id == "mine"
    assert found.problem is not None
    assert found.problem.startswith("it may be gone all the same: ")


def test_of_several_messages_each_has_its_own_end(
    make_broker: MakeBroker, looking: Looking, rabbitmq_server: services.RabbitMQ, prefix: str
) -> None:
    broker = make_broker(middleware=[], queue_type="classic")
    for queue in ("default", "full"):
        broker.declare_queue(queue, ensure=True)
        for number in range(3):
            message = dramatiq.Message[None](queue, "job", (), {}, {}, message_id=f"{queue}-{number}")
            broker.enqueue(message, delay=HOUR_MS)
    with full(rabbitmq_server, prefix, "full$"):
        dealt = looking(broker).run_now(["default-0", "full-0", "default-2", "nobody"])
    assert {each.message.message_id: each.problem for each in dealt.found} == {
        "default-0": None,
        "default-2": None,
        "full-0": "RabbitMQ refused it",
    }
    assert dealt.missing == ["nobody"]
    assert ready(broker) == 2
    assert sorted(names(looking(broker).look())) == ["default-1", "full-0", "full-1", "full-2"]
