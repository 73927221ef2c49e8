from __future__ import annotations

from dataclasses import fields
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
        *schedulers(topology),
    ]


def schedulers(topology: Topology) -> list[Queue]:
    queues = topology.periodic()
    return [getattr(queues, each.name) for each in fields(queues)]


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


@pytest.mark.parametrize("topology", ALL)
def test_of_those_who_wait_for_the_baton_one_gets_it(topology: Topology) -> None:
    queues = topology.periodic()

    assert queues.baton.arguments["x-single-active-consumer"] is True
    # `basic.get` fails on a quorum queue with a single active consumer.
    assert not any("x-single-active-consumer" in each.arguments for each in (queues.watermark, queues.roster))


@pytest.mark.parametrize("topology", ALL)
def test_what_the_next_leader_reads_is_the_newest_there_is(topology: Topology) -> None:
    queues = topology.periodic()

    for queue in (queues.baton, queues.watermark, queues.roster, queues.alive):
        assert queue.arguments["x-max-length"] == 1
        assert "x-overflow" not in queue.arguments
    assert queues.missed.arguments["x-max-length"] == 10_000


def test_the_ledger_is_replicated_where_work_is_and_read_any_number_of_times() -> None:
    for queue in schedulers(QUORUM):
        if queue != QUORUM.periodic().alive:
            assert queue.is_quorum
            assert queue.arguments["x-delivery-limit"] == 1_000_000_000
    assert not any(queue.is_quorum for queue in schedulers(CLASSIC))


@pytest.mark.parametrize("topology", ALL)
def test_what_a_restart_of_rabbitmq_is_known_by_is_in_a_queue_that_forgets(topology: Topology) -> None:
    """A quorum queue keeps messages that are not persistent, too."""
    assert "x-queue-type" not in topology.periodic().alive.arguments
