"""Relays that are asked what they keep."""

import threading
import time
from typing import Any

import pytest

import services
from actors.brokers.walk import PATIENCE_S
from services.deadline import until
from tests.integration.broker.conftest import MakeBroker
from tests.integration.broker.delayed.conftest import Looking, StartRelay
from tests.integration.broker.relays import HOUR_MS, kept, names, ready, send

# What a server has, asked of itself.
NAMES = {
    kind: f'[io:format("~s~n", [Name]) || {{resource, _, _, Name}} <- {call}].'
    for kind, call in (("queues", "rabbit_amqqueue:list_names()"), ("exchanges", "rabbit_exchange:list_names()"))
}


def test_a_relay_that_does_not_answer_costs_a_moment_and_is_named(
    make_broker: MakeBroker, start_relay: StartRelay, looking: Looking, channel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a relay of an earlier version, which only consumes, beside one of ours
    broker = make_broker(middleware=[])
    broker.engine.declarations.holds()
    channel.basic_qos(prefetch_count=1)
    for queue in broker.engine.options.topology.holds().values():
        channel.basic_consume(queue.name, lambda *_: None)
    send(broker, "first", HOUR_MS)
    until(lambda: looking(broker).look().messages == [], seconds=10, what="the old relay keeps the first one")
    send(broker, "second", HOUR_MS)
    relay = start_relay(broker)
    until(lambda: kept(relay) == ["second"], seconds=10, what="the new one keeps the second")

    started = time.monotonic()
    page = looking(broker).look()
    assert (names(page), page.silent) == (["second"], 1)
    assert time.monotonic() - started < 3 * PATIENCE_S  # and not once for each of the 28 queues
    dealt = looking(broker).cancel(["first", "second"])
    assert (dealt.missing, dealt.silent) == (["first"], 1)


def test_a_relay_that_wakes_up_does_not_do_what_was_given_up(
    make_broker: MakeBroker, start_relay: StartRelay, looking: Looking
) -> None:
    broker = make_broker(middleware=[])
    send(broker, "mine", 300 * 24 * HOUR_MS)  # in the first queue that it is asked about
    relay = start_relay(broker)
    until(lambda: kept(relay) == ["mine"], seconds=10, what="the relay keeps it")
    awake = threading.Event()

    def freeze() -> None:
        awake.wait(60)

    relay._session.call_soon(freeze)
    dealt = looking(broker).cancel(["mine"])
    assert (dealt.missing, dealt.silent) == (["mine"], 1)
    awake.set()
    until(lambda: looking(broker).look().silent == 0, seconds=10, what="the relay answers again")
    assert names(looking(broker).look()) == ["mine"]
    assert looking(broker).cancel(["mine"]).missing == []


def test_environments_do_not_see_each_other(
    make_broker: MakeBroker, start_relay: StartRelay, looking: Looking, prefix: str
) -> None:
    ours, theirs = make_broker(middleware=[]), make_broker(middleware=[], prefix=f"{prefix}.staging")
    for broker in (ours, theirs):
        send(broker, "same", HOUR_MS)
    relays = [start_relay(ours), start_relay(theirs)]
    until(lambda: all(len(kept(relay)) == 1 for relay in relays), seconds=10, what="each relay keeps its own")
    assert len(looking(ours).cancel(["same"]).found) == 1
    assert names(looking(theirs).look()) == ["same"]


def test_a_look_makes_nothing_and_a_relay_leaves_nothing_behind(
    make_broker: MakeBroker,
    start_relay: StartRelay,
    looking: Looking,
    rabbitmq_server: services.RabbitMQ,
    prefix: str,
) -> None:
    def existing(kind: str) -> list[str]:
        told = rabbitmq_server.evaluate(NAMES[kind])
        return [name for name in told.splitlines() if name.startswith(prefix) and ".hold." not in name]

    broker = make_broker(middleware=[])
    assert looking(broker).look().messages == []
    assert looking(broker).cancel(["a"]).missing == ["a"]
    assert existing("exchanges") == existing("queues") == []
    relay = start_relay(broker)
    until(lambda: existing("exchanges") and existing("queues"), seconds=10, what="the relay listens")
    relay.stop()
    until(lambda: not existing("exchanges") and not existing("queues"), seconds=10, what="nothing is left")


def test_a_relay_without_the_right_to_be_asked_moves_messages_all_the_same(
    make_broker: MakeBroker,
    start_relay: StartRelay,
    rabbitmq_server: services.RabbitMQ,
    broker_url: str,
    prefix: str,
) -> None:
    broker = make_broker(middleware=[])
    broker.declare_queue("default", ensure=True)
    broker.engine.declarations.holds()
    queues = rf"^({prefix}\.hold\..*|{prefix}\.default.*|amq\.default)$"
    with rabbitmq_server.user(prefix, configure=queues, write=queues, read=queues) as url:
        limited = make_broker(middleware=[], url=url)
        start_relay(limited)
        send(broker, "soon", 500)
        until(lambda: ready(broker) == 1, seconds=10, what="the message in its work queue")
