"""Looking at delayed messages, while relays keep the soonest due of them."""

from typing import Any

import dramatiq
import pytest
from pika import BasicProperties

from actors.brokers.delays import PREFETCH
from actors.brokers.hold import Hold, now_ms
from services.deadline import until
from tests.integration.broker.conftest import MakeBroker
from tests.integration.broker.delayed.conftest import Looking, StartRelay
from tests.integration.broker.relays import HOUR_MS, contents, kept, names, send


def test_a_look_shows_what_waits_soonest_due_first_with_and_without_a_relay(
    make_broker: MakeBroker, start_relay: StartRelay, looking: Looking, queue_type: str
) -> None:
    broker = make_broker(queue_type=queue_type, middleware=[])
    send(broker, "later", 3 * HOUR_MS)
    send(broker, "soon", HOUR_MS, retries=2)
    send(broker, "last", 300 * 24 * HOUR_MS)
    before = now_ms()

    page = looking(broker).look()
    assert names(page) == ["soon", "later", "last"]
    [soon, later, last] = page.messages
    assert (soon.actor, soon.queue, soon.retries, later.retries) == ("job", "default", 2, 0)
    assert 0 <= before - (soon.due - HOUR_MS) < 10_000
    assert soon.size == len(dramatiq.Message("default", "job", ("soon",), {}, {"retries": 2}, "soon", 1).encode()) + 12
    assert last.hold_queue == broker.options().topology.hold(100 * 2**27).name
    assert page.silent == 0

    relay = start_relay(broker)
    until(lambda: len(kept(relay)) == 3, seconds=10, what="the relay keeps all of them")
    assert looking(broker).look().messages == page.messages


def test_a_look_leaves_queues_bodies_and_dates_as_they_were(
    make_broker: MakeBroker, looking: Looking, channel: Any, queue_type: str
) -> None:
    broker = make_broker(queue_type=queue_type, middleware=[])
    broker.declare_queue("default")
    for number in range(100):
        send(broker, f"hour-{number}", HOUR_MS)
        send(broker, f"day-{number}", 24 * HOUR_MS)
    broker.declarations.holds()
    before = contents(channel.connection, broker.options().topology)
    assert sum(map(len, before.values())) == 200

    for _ in range(3):
        assert len(names(looking(broker).look(limit=1_000))) == 200
    assert contents(channel.connection, broker.options().topology) == before


def test_a_look_meets_what_relays_keep_and_what_they_do_not_once(
    make_broker: MakeBroker, start_relay: StartRelay, looking: Looking, queue_type: str
) -> None:
    broker = make_broker(queue_type=queue_type, middleware=[])
    sent = {f"m{number:03}" for number in range(3 * PREFETCH)}
    broker.enqueue_many(
        [dramatiq.Message("default", "job", (), {}, {}, message_id=name) for name in sorted(sent)], delay=HOUR_MS
    )
    relays = [start_relay(broker), start_relay(broker)]
    until(lambda: all(len(kept(relay)) == PREFETCH for relay in relays), seconds=10, what="two full relays")

    page = looking(broker).look(limit=1_000)
    assert sorted(names(page)) == sorted(sent)
    [looked] = page.looked
    assert (looked.seen, looked.left) == (3 * PREFETCH, 0)


def test_a_look_is_as_deep_as_it_is_told_and_says_what_is_left(
    make_broker: MakeBroker, start_relay: StartRelay, looking: Looking
) -> None:
    broker = make_broker(middleware=[])
    for number in range(100):
        send(broker, f"m{number:03}", HOUR_MS)
    relay = start_relay(broker)
    until(lambda: len(kept(relay)) == PREFETCH, seconds=10, what="a full relay")
    page = looking(broker, depth=30).look()
    assert names(page) == [f"m{number:03}" for number in range(30 + PREFETCH)]
    assert [(looked.seen, looked.left) for looked in page.looked] == [(62, 38)]
    relay.stop()
    page = looking(broker, depth=30).look()
    assert len(names(page)) == 30
    assert [(looked.seen, looked.left) for looked in page.looked] == [(30, 70)]


def test_shallow_looks_leave_the_order_too(make_broker: MakeBroker, looking: Looking, queue_type: str) -> None:
    broker = make_broker(queue_type=queue_type, middleware=[])
    sent = [f"m{number:02}" for number in range(50)]
    for name in sent:
        send(broker, name, HOUR_MS)
    for depth in (10, 10, 40, 40, 50):
        assert names(looking(broker, depth=depth).look()) == sent[:depth]


def test_pages_hold_each_message_once(make_broker: MakeBroker, looking: Looking) -> None:
    broker = make_broker(middleware=[])
    for number in range(25):
        send(broker, f"m{number:02}", HOUR_MS + 1_000 * number)
    seen: list[str] = []
    sizes: list[int] = []
    after = ""
    while not sizes or after:
        page = looking(broker).look(limit=10, after=after)
        seen += names(page)
        sizes.append(len(page.messages))
        after = page.following
    assert sizes == [10, 10, 5]
    assert seen == [f"m{number:02}" for number in range(25)]
    with pytest.raises(ValueError, match="invalid literal"):
        looking(broker).look(after="there")


def test_a_look_can_be_for_one_queue_or_one_actor(make_broker: MakeBroker, looking: Looking) -> None:
    broker = make_broker(middleware=[])
    for number, (queue, actor) in enumerate([("default", "charge"), ("default", "refund"), ("mail", "charge")]):
        message = dramatiq.Message[None](queue, actor, (), {}, {}, message_id=f"m{number}")
        broker.enqueue(message, delay=HOUR_MS)
    assert names(looking(broker).look(queue="default")) == ["m0", "m1"]
    assert names(looking(broker).look(actor="charge")) == ["m0", "m2"]
    assert names(looking(broker).look(actor="charge", queue="mail")) == ["m2"]


def test_a_body_that_can_not_be_decoded_is_shown_and_can_be_cancelled(
    make_broker: MakeBroker, start_relay: StartRelay, looking: Looking, channel: Any
) -> None:
    broker = make_broker(middleware=[])
    broker.declarations.holds()
    now = now_ms()
    for number, body in enumerate([b"\xff not json", b"[]", b'{"actor_name": 1}', b"[" * 100_000]):
        hold = Hold.until(now + HOUR_MS + number, "default", now=now)
        publication = hold.publication(body, BasicProperties(message_id=f"m{number}"), "")
        channel.basic_publish("", broker.declarations.hold(hold.hold_ms).name, body, publication.properties)
    until(lambda: len(looking(broker).look().messages) == 4, seconds=10, what="all four")

    def shown() -> list[tuple[str, str | None]]:
        return [(each.message_id, each.actor) for each in looking(broker).look().messages]

    assert shown() == [(f"m{number}", None) for number in range(4)]
    relay = start_relay(broker)
    until(lambda: len(kept(relay)) == 4, seconds=10, what="the relay keeps them")
    assert shown() == [(f"m{number}", None) for number in range(4)]
    assert looking(broker).cancel(["m0", "m3"]).missing == []
    assert names(looking(broker).look()) == ["m1", "m2"]
