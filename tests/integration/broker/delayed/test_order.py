"""Messages come in time, whatever is looked at, and whichever relay goes."""

import os
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from actors.brokers.admin import Admin
from actors.brokers.answering import MARGIN_S
from actors.brokers.delays import PREFETCH, Relay
from actors.brokers.hold import now_ms
from actors.brokers.peek import Peek
from actors.brokers.walk import LIST, Walk
from actors.delayed import Found
from services.deadline import until
from tests.integration.broker.conftest import MakeBroker
from tests.integration.broker.delayed.conftest import Looking, StartRelay
from tests.integration.broker.relays import HOUR_HOLD_MS, HOUR_MS, contents, hold, kept, listens, ready
from tests.warm import warm


def test_what_a_relay_kept_is_not_held_up_by_what_was_looked_at_when_that_relay_dies(
    make_broker: MakeBroker, start_relay: StartRelay, looking: Looking, channel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given heads that a relay keeps, and many messages behind them that are due much later
    broker = make_broker(middleware=[])
    broker.declare_queue("default", ensure=True)
    monkeypatch.setattr("actors.brokers.delays.COUNT_EVERY_S", 3_600)
    first = start_relay(broker)
    until(lambda: listens(first), seconds=10, what="the relay")
    soon = now_ms() + 4_000
    hold(broker, channel, *[soon] * PREFETCH, *[soon + HOUR_MS] * 200)
    until(lambda: len(kept(first)) == PREFETCH, seconds=10, what="the heads")
    came = time.monotonic()
    until(lambda: time.monotonic() - came > 3 * MARGIN_S, seconds=10, what="heads that did not come during the look")
    # When these are looked at, and given back before the heads are
    assert len(looking(broker).look(limit=1_000).messages) == 200 + PREFETCH
    first.stop()
    start_relay(broker)
    # Then the heads come in time all the same, and nothing else does
    until(lambda: ready(broker) == PREFETCH, seconds=30, what="the heads in their work queue")
    assert len(looking(broker).look(limit=1_000).messages) == 200


def test_what_a_relay_kept_is_not_held_up_by_what_another_keeps(
    make_broker: MakeBroker, start_relay: StartRelay, channel: Any
) -> None:
    broker = make_broker(middleware=[])
    broker.declare_queue("default", ensure=True)
    first = start_relay(broker)
    until(lambda: listens(first), seconds=10, what="the first relay")
    soon = now_ms() + 5_000
    hold(broker, channel, *[soon] * PREFETCH, *[soon + HOUR_MS] * PREFETCH)
    until(lambda: len(kept(first)) == PREFETCH, seconds=10, what="the heads")
    second = start_relay(broker)
    until(lambda: len(kept(second)) == PREFETCH, seconds=10, what="the later ones")
    first.stop()
    until(lambda: ready(broker) == PREFETCH, seconds=30, what="the heads in their work queue")


def test_a_relay_that_starts_during_a_look_makes_room_for_what_was_in_hand(
    make_broker: MakeBroker, start_relay: StartRelay, channel: Any
) -> None:
    # Given a look that has the heads in hand while a relay starts, which gets what is behind them
    broker = make_broker(middleware=[])
    broker.declare_queue("default", ensure=True)
    broker.engine.declarations.holds()
    soon = now_ms() + 4_000
    hold(broker, channel, *[soon] * 100, *[soon + HOUR_MS] * 100)
    relays: list[Relay] = []

    def see(_: Found) -> None:
        if not relays:
            relays.append(start_relay(broker))
            until(lambda: len(kept(relays[0])) == PREFETCH, seconds=10, what="a relay full of later messages")

    # When the look ends
    options = broker.engine.options
    with Admin(options.nodes, timeout_s=20) as admin:
        Walk(admin, options.topology, depth=100).go(LIST, see)
    # Then the heads come in time
    until(lambda: ready(broker) == 100, seconds=30, what="the heads in their work queue")


def test_a_relay_makes_room_for_what_was_in_hand_while_it_went_on(
    make_broker: MakeBroker,
    start_relay: StartRelay,
    channel: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given a relay that goes past what a look has in hand, because its own heads become due meanwhile
    monkeypatch.setattr("actors.brokers.delays.COUNT_EVERY_S", 3_600)
    broker = make_broker(middleware=[])
    broker.declare_queue("default", ensure=True)
    relay = start_relay(broker)
    until(lambda: listens(relay), seconds=10, what="the relay")
    now = now_ms()
    hold(broker, channel, *[now + 3_000] * PREFETCH, *[now + 4_000] * 100, *[now + HOUR_MS] * 100)
    until(lambda: len(kept(relay)) == PREFETCH, seconds=10, what="the heads")

    in_hand: list[Found] = []

    def see(found: Found) -> None:
        in_hand.append(found)
        if len(in_hand) == 1:
            until(lambda: ready(broker) == PREFETCH, seconds=10, what="its heads in their work queue")
            until(lambda: len(kept(relay)) == PREFETCH, seconds=10, what="a relay full of later messages")

    # When the look ends
    options = broker.engine.options
    with Admin(options.nodes, timeout_s=20) as admin:
        Walk(admin, options.topology, depth=100).go(LIST, see)
    # Then what it had in hand comes in time
    until(lambda: ready(broker) == PREFETCH + 100, seconds=30, what="the heads in their work queue")


def test_a_relay_that_has_room_gets_what_is_new_and_not_a_look(
    make_broker: MakeBroker, start_relay: StartRelay, channel: Any
) -> None:
    # Given a look with a message in hand, and a relay beside it whose own have all become due
    broker = make_broker(middleware=[])
    broker.declare_queue("default", ensure=True)
    relay = start_relay(broker)
    until(lambda: listens(relay), seconds=10, what="the relay")
    soon = now_ms() + 1_500
    hold(broker, channel, *[soon] * PREFETCH, soon + HOUR_MS)
    until(lambda: len(kept(relay)) == PREFETCH, seconds=10, what="the heads")
    options = broker.engine.options
    queue = options.topology.hold(HOUR_HOLD_MS)
    with Admin(options.nodes, timeout_s=30) as admin, Peek(admin, queue, 100, lambda held: None) as peek:
        assert peek.taken == 1
        until(lambda: ready(broker) == PREFETCH, seconds=10, what="the relay's heads in their work queue")
        until(lambda: not [*relay._kept.of(queue.name)], seconds=10, what="their acks")
        acked = time.monotonic()
        until(lambda: time.monotonic() - acked > 1, seconds=10, what="RabbitMQ, which takes them")
        # When more come
        hold(broker, channel, *[now_ms() + 300] * 20)
        # Then they go on while the look lasts
        until(lambda: ready(broker) == PREFETCH + 20, seconds=10, what="the new ones in their work queue")


def test_a_look_that_is_killed_gives_back_what_it_had_in_hand(
    make_broker: MakeBroker, looking: Looking, channel: Any, queue_type: str, tmp_path: Path
) -> None:
    broker = make_broker(queue_type=queue_type, middleware=[])
    broker.engine.declarations.holds()
    hold(broker, channel, *[now_ms() + HOUR_MS] * 40)
    before = contents(channel.connection, broker.engine.options.topology)
    options = broker.engine.options
    program = f"""
        import time
        from actors.brokers.admin import Admin
        from actors.brokers.nodes import Nodes
        from actors.brokers.topology import Topology
        from actors.brokers.walk import LIST, PATIENCE_S, Walk
        topology = Topology({queue_type!r}, {options.topology.prefix!r})
        def see(_):
            global seen
            seen += 1
            if seen == 40:
                print("in hand", flush=True)
                time.sleep(60)
        seen = 0
        with Admin(Nodes({list(options.nodes.urls)!r}), timeout_s=10) as admin:
            Walk(admin, topology, depth=100).go(LIST, see)
    """
    log = tmp_path / "killed.log"
    process = warm().start("-c", textwrap.dedent(program), env=os.environ, log=log)
    until(lambda: "in hand" in log.read_text(), seconds=30, what="messages in hand")
    process.kill()
    process.wait()
    until(lambda: len(looking(broker).look().messages) == 40, seconds=10, what="all of them again")
    assert contents(channel.connection, broker.engine.options.topology) == before
