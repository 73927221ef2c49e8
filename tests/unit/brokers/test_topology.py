from __future__ import annotations

from itertools import pairwise

import pytest
from dramatiq.brokers.rabbitmq import RabbitmqBroker as PlainBroker

from actors.brokers.topology import FIRST_HOLD_MS, HOLDS_MS, Queue, Topology

QUORUM = Topology()
CLASSIC = Topology(queue_type="classic")
PRIORITIES = Topology(queue_type="classic", max_priority=10)
ALL = [QUORUM, CLASSIC, PRIORITIES]


def queues(topology: Topology) -> list[Queue]:
    return [
        topology.work("money"),
        *topology.earlier("money"),
        topology.dead("money"),
        topology.plain_delay("money"),
        topology.relay("r1"),
        *topology.holds().values(),
    ]


def test_the_physical_name_follows_from_the_arguments() -> None:
    assert [topology.work("money").name for topology in ALL] == ["money.quorum", "money", "money.p10"]
    assert [topology.dead("money").name for topology in ALL] == ["money.quorum.XQ", "money.XQ", "money.XQ"]
    assert [topology.hold(100).name for topology in ALL] == ["hold.100.quorum", "hold.100", "hold.100"]


def test_no_name_stands_for_two_sets_of_arguments() -> None:
    arguments: dict[str, object] = {}
    for topology in ALL:
        for queue in queues(topology):
            assert arguments.setdefault(queue.name, queue.arguments) == queue.arguments


def test_a_quorum_queue_loses_no_message_to_its_limits() -> None:
    work = QUORUM.work("money")

    assert work.arguments["x-queue-type"] == "quorum"
    assert work.arguments["x-dead-letter-routing-key"] == QUORUM.dead("money").name
    assert work.arguments["x-dead-letter-strategy"] == "at-least-once"
    assert work.arguments["x-overflow"] == "reject-publish"


@pytest.mark.parametrize("topology", ALL)
def test_dead_letters_never_expire(topology: Topology) -> None:
    arguments = topology.dead("money").arguments
    assert set(arguments) <= {"x-queue-type", "x-delivery-limit"}
    assert arguments.get("x-delivery-limit", 1_000_000_000) == 1_000_000_000


@pytest.mark.parametrize("topology", ALL)
def test_holds_never_expire_and_never_count_deliveries_that_matter(topology: Topology) -> None:
    for hold in topology.holds().values():
        assert not any("ttl" in argument or "expires" in argument for argument in hold.arguments)
        assert hold.arguments.get("x-delivery-limit", 1_000_000_000) == 1_000_000_000


def test_holds_double_from_a_tenth_of_a_second_to_half_a_year() -> None:
    assert list(QUORUM.holds()) == list(HOLDS_MS)
    assert HOLDS_MS[0] == FIRST_HOLD_MS == 100
    assert all(longer == 2 * shorter for shorter, longer in pairwise(HOLDS_MS))
    assert HOLDS_MS[-1] > 150 * 24 * 3600 * 1000


def test_priorities_are_a_matter_of_the_work_queue_alone() -> None:
    assert PRIORITIES.work("money").arguments["x-max-priority"] == 10
    assert PRIORITIES.dead("money") == CLASSIC.dead("money")
    assert PRIORITIES.holds() == CLASSIC.holds()


@pytest.mark.parametrize("topology", ALL)
def test_the_earlier_generations_are_those_a_change_of_settings_leaves_behind(topology: Topology) -> None:
    names = {queue.name for queue in topology.earlier("money")}

    assert names == {"money", "money.quorum"} - {topology.work("money").name}


def test_the_queue_of_plain_dramatiq_is_used_as_dramatiq_declares_it() -> None:
    plain = PlainBroker(middleware=[])

    for queue in (CLASSIC.work("money"), CLASSIC.plain_delay("money")):
        declared = plain._build_queue_arguments("money")
        assert queue.arguments == {name: declared[name] for name in queue.arguments}
        assert declared.keys() == queue.arguments.keys()


@pytest.mark.parametrize("topology", ALL)
def test_p20_a_prefix_is_put_before_every_name_and_every_name_within(topology: Topology) -> None:
    prefixed = Topology(queue_type=topology.queue_type, max_priority=topology.max_priority, prefix="staging")

    assert [queue.name for queue in queues(prefixed)] == [f"staging.{queue.name}" for queue in queues(topology)]
    assert prefixed.relays == f"staging.{topology.relays}"
    for queue in queues(prefixed):
        target = queue.arguments.get("x-dead-letter-routing-key", "staging.")
        assert str(target).startswith("staging.")
