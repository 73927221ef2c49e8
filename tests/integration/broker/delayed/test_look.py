"""Looking at delayed messages, while relays keep the soonest due of them."""

import threading
from typing import Any

import dramatiq
import pytest
from pika import BasicProperties

from actors.brokers.admin import Admin
from actors.brokers.asking import Asking
from actors.brokers.delays import PREFETCH
from actors.brokers.hold import Hold, now_ms
from actors.brokers.inquiry import Answer, Found, Inquiry
from actors.brokers.peek import Peek
from actors.brokers.walk import LIST, Walk
from services.deadline import until
from tests.integration.broker.conftest import MakeBroker
from tests.integration.broker.delayed.conftest import Looking, StartRelay
from tests.integration.broker.relays import HOUR_HOLD_MS, HOUR_MS, contents, hold, kept, listens, names, send


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
    assert last.hold_queue == broker.engine.options.topology.hold(100 * 2**27).name
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
    broker.engine.declarations.holds()
    before = contents(channel.connection, broker.engine.options.topology)
    assert sum(map(len, before.values())) == 200

    for _ in range(3):
        assert len(names(looking(broker).look(limit=1_000))) == 200
    assert contents(channel.connection, broker.engine.options.topology) == before


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
    broker.engine.declarations.holds()
    now = now_ms()
    for number, body in enumerate([b"\xff not json", b"[]", b'{"actor_name": 1}', b"[" * 100_000]):
        hold = Hold.until(now + HOUR_MS + number, "default", now=now)
        publication = hold.publication(body, BasicProperties(message_id=f"m{number}"), "")
        channel.basic_publish("", broker.engine.declarations.hold(hold.hold_ms).name, body, publication.properties)
    until(lambda: len(looking(broker).look().messages) == 4, seconds=10, what="all four")

    def shown() -> list[tuple[str, str | None]]:
        return [(each.message_id, each.actor) for each in looking(broker).look().messages]

    assert shown() == [(f"m{number}", None) for number in range(4)]
    relay = start_relay(broker)
    until(lambda: len(kept(relay)) == 4, seconds=10, what="the relay keeps them")
    assert shown() == [(f"m{number}", None) for number in range(4)]
    assert looking(broker).cancel(["m0", "m3"]).missing == []
    assert names(looking(broker).look()) == ["m1", "m2"]


def test_a_message_that_moves_to_a_shorter_hold_during_a_look_is_met(
    make_broker: MakeBroker, start_relay: StartRelay, looking: Looking, channel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a message in the hold queue of an hour, due in half an hour: the next hold is the next shorter one
    broker = make_broker(middleware=[])
    relay = start_relay(broker)
    until(lambda: listens(relay), seconds=10, what="the relay")
    hold(broker, channel, now_ms() + HOUR_MS // 2)
    until(lambda: len(kept(relay)) == 1, seconds=10, what="the relay keeps it")
    topology = broker.engine.options.topology
    longer, shorter = topology.hold(HOUR_HOLD_MS).name, topology.hold(HOUR_HOLD_MS // 2).name
    ask = Asking.ask
    asked: list[str] = []

    def ask_and_move(self: Asking, inquiry: Inquiry, relays: int) -> list[Answer]:
        answers = ask(self, inquiry, relays)
        if inquiry.hold_queue in (longer, shorter) and not asked:
            # When it moves right after the look has passed the first of the two
            asked.append(inquiry.hold_queue)
            [held] = relay._kept._held
            relay._session.call_soon(lambda: relay._move(held))
            until(lambda: [each.found_in for each in relay._kept._held] == [shorter], seconds=10, what="its move")
        return answers

    monkeypatch.setattr(Asking, "ask", ask_and_move)
    # Then it is in the list, once
    assert len(looking(broker).look().messages) == 1
    assert asked == [longer]


def test_a_message_that_goes_back_to_the_end_of_its_queue_during_a_look_is_met(
    make_broker: MakeBroker, start_relay: StartRelay, looking: Looking
) -> None:
    broker = make_broker(middleware=[])
    sent = [f"m{number:03}" for number in range(2 * PREFETCH + 1)]
    relay = start_relay(broker)
    for name in sent:
        send(broker, name, HOUR_MS)
    until(lambda: kept(relay) == sent[:PREFETCH], seconds=10, what="the heads")
    met: list[str] = []

    def see(found: Found) -> None:
        met.append(found.message.message_id)
        if len(met) == 1:
            relay._session.call_soon(lambda: relay._make_room(lambda held: True))
            until(lambda: kept(relay) == sent[PREFETCH + 1 :], seconds=10, what="the heads' way to the end")

    options = broker.engine.options
    with Admin(options.nodes, timeout_s=20) as admin:
        Walk(admin, options.topology, depth=1).go(LIST, see)
    assert met[0] == sent[PREFETCH]
    assert set(met) == set(sent)


def test_a_message_that_is_just_being_published_is_met(
    make_broker: MakeBroker, start_relay: StartRelay, looking: Looking
) -> None:
    broker = make_broker(middleware=[])
    relay = start_relay(broker)
    until(lambda: listens(relay), seconds=10, what="the relay")
    send(broker, "mine", 2_000)
    until(lambda: kept(relay) == ["mine"], seconds=2, what="the relay keeps it")
    go_on = threading.Event()

    def block() -> None:
        go_on.wait(60)

    assert broker.engine.publisher._session is not None
    broker.engine.publisher._session.call_soon(block)
    try:
        until(lambda: kept(relay) == [], seconds=10, what="its time has come")
        assert names(looking(broker).look()) == ["mine"]
    finally:
        go_on.set()


def test_a_look_waits_for_what_is_on_its_way_to_it(make_broker: MakeBroker, looking: Looking, queue_type: str) -> None:
    broker = make_broker(queue_type=queue_type, middleware=[])
    broker.enqueue_many([dramatiq.Message[None]("default", "job", (), {}, {}) for _ in range(300)], delay=HOUR_MS)
    options = broker.engine.options
    with Admin(options.nodes, timeout_s=20) as admin:
        for _ in range(50):
            with Peek(admin, options.topology.hold(HOUR_HOLD_MS), 1_000, lambda held: None) as peek:
                assert (peek.taken, peek.left) == (300, 0)
