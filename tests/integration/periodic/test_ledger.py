"""What befalls the queues of the scheduler, and those that it publishes to."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pika
import pytest
from pika import BasicProperties

import services
from periodic.kept import read
from periodic.position import Position
from periodic.queues import Queue
from periodic.roster import Entry, Roster, timing_of
from periodic.status import Role
from periodic.watermark import Watermark
from services.deadline import until
from tests.integration.periodic.site import Site, gaps, now, schedule, wait_for_ticks, wait_until


@contextmanager
def full(server: services.RabbitMQ, queue: Queue) -> Iterator[None]:
    """Let *queue* refuse messages for the block."""
    with server.policy(f"^{queue.name}$", '{"max-length":0,"overflow":"reject-publish"}'):
        yield


def test_a_work_queue_that_is_deleted_is_there_again_within_a_second(site: Site) -> None:
    with site.leading(schedule()) as leader:
        wait_for_ticks(leader, 1)
        site.channel.queue_delete(site.work().name)
        until(lambda: site.depth(site.work()) > 0, seconds=10, what="the queue")
        assert leader.status.role is Role.LEADING


@pytest.mark.parametrize("name", ["watermark", "roster"])
@pytest.mark.parametrize("how", ["queue_delete", "queue_purge"])
def test_what_is_lost_of_the_ledger_is_written_again_by_who_leads(
    site: Site, name: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    queue: Queue = getattr(site.queues, name)
    with site.leading(schedule()) as leader:
        wait_for_ticks(leader, 1)
        getattr(site.channel, how)(queue.name)
        until(lambda: site.depth(queue) == 1, seconds=20, what="what was lost")
        assert leader.status.role is Role.LEADING
    with site.leading(schedule()) as leader:
        wait_for_ticks(leader, 5)

    missing, doubled = gaps(site.enqueued(), every_ms=50)
    assert doubled == 0
    # RabbitMQ 3.10 ends a connection that publishes to a quorum queue which is being deleted; the next term finds none.
    assert not missing or "the watermark is lost" in caplog.text


def test_a_watermark_that_is_deleted_together_with_the_work_queue_is_written_again(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    with site.leading(schedule("a"), schedule("b", queue="other")) as leader:
        wait_for_ticks(leader, 2)
        site.channel.queue_delete(site.work(schedule("b", queue="other")).name)
        site.channel.queue_delete(site.work().name)
        site.channel.queue_delete(site.queues.watermark.name)
        until(lambda: site.depth(site.queues.watermark) == 1, seconds=20, what="the watermark")
        until(lambda: not leader.status.failing, seconds=20, what="an end of the trouble")
        wait_for_ticks(leader, 5)

    for each in (schedule("a"), schedule("b", queue="other")):
        missing, doubled = gaps(site.enqueued(each), every_ms=50)
        assert doubled == 0
        assert not missing or "the watermark is lost" in caplog.text


def test_a_baton_that_is_deleted_with_its_queue_is_made_again(site: Site) -> None:
    with site.leading(schedule()) as leader:
        wait_for_ticks(leader, 1)
        site.channel.queue_delete(site.queues.baton.name)
        until(lambda: leader.status.role is not Role.LEADING, seconds=10, what="the end of the term")
        wait_until(leader, Role.LEADING)
        wait_for_ticks(leader, 5)

    assert gaps(site.enqueued(), every_ms=50) == (0, 0)


def test_there_is_one_baton_however_many_have_put_one_in(site: Site) -> None:
    with site.leading(schedule()) as leader:
        for number in range(4):
            other = site.scheduler(schedule(), name=f"other {number}")
            site.start(other)
            wait_until(other, Role.STANDING_BY)
        wait_for_ticks(leader, 5)
        until(lambda: site.depth(site.queues.baton) == 0, seconds=5, what="the leader to take the spare ones")
        assert leader.status.role is Role.LEADING


def test_a_full_queue_holds_up_its_own_schedules_alone_and_none_of_their_ticks_is_missed(
    site: Site, rabbitmq_server: services.RabbitMQ, caplog: pytest.LogCaptureFixture
) -> None:
    fast, stuck = schedule("a"), schedule("b", queue="slow")
    with site.leading(fast, stuck) as leader:
        wait_for_ticks(leader, 5)
        with full(rabbitmq_server, site.work(stuck)):
            until(lambda: "b" in leader.status.failing, seconds=20, what="a refusal")
            wait_for_ticks(leader, 20)
            assert "refuses the message" in leader.status.failing["b"]
            # Another leader finds it behind, and has the same trouble
            leader.stop()
            with site.leading(fast, stuck, name="two") as second:
                until(lambda: "b" in second.status.failing, seconds=20, what="a refusal")
                wait_for_ticks(second, 5)
        with site.leading(fast, stuck, name="three") as third:
            wait_for_ticks(third, 20)
            until(lambda: not third.status.failing, seconds=20, what="an end of the trouble")
            wait_for_ticks(third, 20)

    ticks = site.enqueued(fast, stuck)
    for name in "ab":
        assert gaps([tick for tick in ticks if tick.schedule == name], every_ms=50) == (0, 0)
    assert site.missed() == []
    # It is RabbitMQ's matter, and no error of the application
    assert "Traceback" not in caplog.text


def test_after_a_restart_of_rabbitmq_another_leader_enqueues_the_last_tick_once_more(site: Site) -> None:
    with site.leading(schedule()) as leader:
        wait_for_ticks(leader, 3)
    last = site.enqueued()[-1]
    site.channel.queue_purge(site.queues.alive.name)  # what a restart does to a message that is not persistent
    for name in ("two", "three"):
        with site.leading(schedule(), name=name) as leader:
            wait_for_ticks(leader, 3)

    ticks = site.enqueued()
    assert ticks.count(last) == 1
    assert gaps(ticks, every_ms=50) == (0, 0)


def test_after_a_restart_of_rabbitmq_who_has_seen_the_confirm_enqueues_nothing_twice(site: Site) -> None:
    with site.leading(schedule()) as leader:
        wait_for_ticks(leader, 3)
        site.channel.queue_purge(site.queues.alive.name)
        # The connection ends, and the process goes on.
        site.channel.queue_delete(site.queues.baton.name)
        until(lambda: site.depth(site.queues.alive) == 1, seconds=20, what="another term")
        wait_for_ticks(leader, 3)

    assert gaps(site.enqueued(), every_ms=50) == (0, 0)


def test_the_watermark_in_somebody_elses_hands_is_waited_for(site: Site, broker_url: str) -> None:
    """RabbitMQ may hand on the baton of a leader that died before it puts back what that one had in hand."""
    with site.leading(schedule()) as leader:
        wait_for_ticks(leader, 3)
    dying = pika.BlockingConnection(pika.URLParameters(broker_url))
    assert dying.channel().basic_get(site.queues.watermark.name)[0] is not None
    threading.Timer(1, dying.close).start()

    with site.leading(schedule(), name="two") as leader:
        wait_for_ticks(leader, 3)

    assert gaps(site.enqueued(), every_ms=50) == (0, 0)


def test_of_two_watermarks_the_newer_counts(site: Site) -> None:
    """While an old one is in somebody's hands a new one may come, and the old one may come back."""
    site.declare()
    properties = [BasicProperties(delivery_mode=2, headers={"number": number}) for number in range(2)]
    queue = site.queues.watermark
    site.channel.confirm_delivery()
    site.channel.basic_publish("", queue.name, b"", properties[0])
    held = site.channel.basic_get(queue.name)
    site.channel.basic_publish("", queue.name, b"", properties[1])
    site.channel.basic_nack(held[0].delivery_tag)

    for _ in range(2):
        kept = read(site.channel, queue)
        assert kept is not None
        assert kept.properties.headers["number"] == 1
    until(lambda: site.depth(queue) == 1, seconds=5, what="the drop of the old one")


def test_without_a_watermark_nothing_old_is_enqueued_and_that_is_said(
    site: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("periodic.kept.PATIENCE_S", 0.2)
    site.begin_with(None, Roster({"a": Entry(timing_of(schedule()), now())}))
    began = now()
    with site.leading(schedule()) as leader:
        wait_for_ticks(leader, 1)

    assert site.enqueued()[0].time > began
    (line,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "the watermark is lost" in line.message


@pytest.mark.parametrize("body", [b"", b"no roster"])
def test_what_can_not_be_read_is_not_led_from(site: Site, body: bytes) -> None:
    site.begin_with(Watermark(Position.behind_all(now()), now()), None)
    site.channel.basic_publish("", site.queues.roster.name, body)
    scheduler = site.scheduler(schedule())
    site.start(scheduler)
    wait_until(scheduler, Role.REFUSING)
    assert "is no roster" in scheduler.status.problem


def test_a_work_queue_with_other_arguments_is_used_as_it_is(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.channel.queue_declare(site.work().name, durable=True, arguments={"x-max-length": 1_000})
    with site.leading(schedule()) as leader:
        wait_for_ticks(leader, 5)

    assert gaps(site.enqueued(), every_ms=50) == (0, 0)
    assert "is used as it is: PRECONDITION_FAILED" in caplog.text


def test_a_baton_that_several_could_hold_is_not_waited_for(site: Site) -> None:
    arguments = {name: value for name, value in site.queues.baton.arguments.items() if "single" not in name}
    site.channel.queue_declare(site.queues.baton.name, durable=True, arguments=arguments)
    scheduler = site.scheduler(schedule())
    site.start(scheduler)
    until(lambda: "x-single-active-consumer" in scheduler.status.problem, seconds=10, what="a refusal")
    assert scheduler.status.role is Role.CONNECTING
