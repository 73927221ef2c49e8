"""Messages come to RabbitMQ as they were in the file, each once."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from dramatiq.errors import ConnectionFailed

import services
from actors.brokers.admin import Admin
from actors.brokers.buried import exhume, expires
from actors.brokers.topology import Queue
from actors.errors import QueueMismatch
from actors.migrating import moving
from tests.integration.migrating.site import Found, Site, arguments, soon


class Cut(Exception):
    """The process ends here."""


def cut_after(batches: int) -> object:
    """What is told of moved rows, and ends the process after so many batches, before they are deleted."""
    told = 0

    def moved(kind: str, count: int) -> None:
        nonlocal told
        told += kind != "records"
        if told == batches:
            raise Cut

    return moved


def test_messages_come_in_their_order_with_their_ids_and_bytes(site: Site) -> None:
    sent = site.send(*range(1_200)) + site.send(7, queue="slow")
    [first] = site.send(5_000, broker_priority=9)

    report = site.move()

    found = site.take(site.topology.work("default"))
    assert [each.body for each in found] == [first.encode(), *(each.encode() for each in sent[:-1])]
    assert [each.properties.message_id for each in found] == [
        first.message_id,
        *(each.message_id for each in sent[:-1]),
    ]
    assert found[0].properties.priority == 9
    assert {each.properties.delivery_mode for each in found} == {2}
    assert arguments(site.take(site.topology.work("slow"))) == [7]
    assert (report.moved["queued"], report.came, report.doubted, report.is_over) == (1_202, 0, 0, True)
    assert site.left() == 0


def test_delayed_messages_wait_until_the_same_time(site: Site) -> None:
    late, soon_due = soon(3_600_000), soon(40_000)
    [later] = site.send(1, due=late)
    [sooner] = site.send(2, due=soon_due)
    site.send(3, due=soon(1))

    report = site.move()

    holds = site.topology.holds()
    [first] = site.take(holds[3_276_800])
    [second] = site.take(holds[25_600])
    assert (first.body, first.header["due"], first.header["queue"]) == (later.encode(), late, "default")
    assert (second.body, second.header["due"], second.properties.message_id) == (
        sooner.encode(),
        soon_due,
        sooner.message_id,
    )
    assert report.moved["delayed"] == 3
    assert arguments(site.take(site.topology.work("default"))) == [3]


def test_dead_letters_say_what_they_said_and_expire_when_they_would(site: Site) -> None:
    at = soon()
    [forever] = site.bury(1)
    [for_now] = site.bury(2, expires=at)
    site.bury(3, expires=soon(-1))

    report = site.move()

    first, second = site.take(site.topology.dead("default"))
    assert exhume(first.properties, first.body, "default") == forever
    assert exhume(second.properties, second.body, "default") == for_now
    assert expires(first.properties, forever) is None
    assert expires(second.properties, for_now) == at
    assert report.moved["dead"] == 2
    assert site.left() == 0


def test_a_migration_that_is_cut_off_goes_on_and_doubles_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "BATCH", 50)
    site.send(*range(230))
    site.send(*range(230, 300), due=soon())
    letters = site.bury(*range(300, 370))

    for batches in (1, 2, 3, 2):
        with pytest.raises(Cut):
            site.move(moved=cut_after(batches))
    report = site.move()

    assert (report.is_over, report.doubted) == (True, 0)
    assert arguments(site.take(site.topology.work("default"))) == list(range(230))
    held = [each for queue in site.topology.holds().values() for each in taken(site, queue)]
    assert sorted(arguments(held)) == list(range(230, 300))
    dead = site.take(site.topology.dead("default"))
    assert [exhume(each.properties, each.body, "default") for each in dead] == letters


def taken(site: Site, queue: Queue) -> list[Found]:
    with Admin(site.to.engine.options.nodes, timeout_s=10) as admin:
        exists = admin.depth(queue) is not None
    return site.take(queue) if exists else []


def test_who_is_told_to_stop_stops_after_a_batch_and_the_next_goes_on(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "BATCH", 50)
    site.send(*range(120))
    batches: list[int] = []

    report = site.move(moved=lambda kind, count: batches.append(count), go_on=lambda: len(batches) < 2)

    assert (report.is_over, report.moved["queued"], site.left()) == (False, 100, 20)
    assert site.move().moved["queued"] == 20
    assert arguments(site.take(site.topology.work("default"))) == list(range(120))


def test_where_somebody_takes_messages_one_batch_at_most_comes_twice_with_the_same_ids(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "BATCH", 50)
    monkeypatch.setattr(moving, "COUNTED_WITHIN_S", 0.5)
    sent = site.send(*range(120))
    with pytest.raises(Cut):
        site.move(moved=cut_after(2))
    # Given a worker there that has taken what has come so far
    first = site.take(site.topology.work("default"))
    assert len(first) == 100

    report = site.move()

    found = Counter(each.properties.message_id for each in [*first, *site.take(site.topology.work("default"))])
    assert found == Counter({each.message_id: 2 if 50 <= n < 100 else 1 for n, each in enumerate(sent)})
    assert (report.doubted, report.is_over) == (50, True)


def test_what_a_full_queue_refuses_stays_in_the_file(
    site: Site, rabbitmq_server: services.RabbitMQ, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "BATCH", 50)
    site.to.engine.ensure("full")
    with rabbitmq_server.policy(f"^{prefix}\\.full", '{"max-length": 20}'):
        sent = site.send(*range(120), queue="full")
        with pytest.raises(ConnectionFailed, match=r"refuses messages .*full.*still in the file"):
            site.move()
        there = site.take(site.topology.work("full"))
        assert len(there) + site.left() == 120

    assert site.move().is_over

    there += site.take(site.topology.work("full"))
    assert Counter(each.properties.message_id for each in there) == Counter(each.message_id for each in sent)


def test_a_full_queue_s_refusals_are_not_taken_for_moved_by_who_comes_next(
    site: Site, rabbitmq_server: services.RabbitMQ, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "BATCH", 50)
    site.to.engine.ensure("full")

    def die(*_: object) -> None:
        raise Cut

    with rabbitmq_server.policy(f"^{prefix}\\.full", '{"max-length": 20}'):
        sent = site.send(*range(120), queue="full")
        # Given one that is killed when it hears of the refusals
        with monkeypatch.context() as killing:
            killing.setattr(moving.Moving, "_refused", die)
            with pytest.raises(Cut):
                site.move()

    report = site.move()

    found = Counter(each.properties.message_id for each in site.take(site.topology.work("full")))
    assert set(found) == {each.message_id for each in sent}
    assert sum(found.values()) - 120 <= report.doubted


def test_a_queue_that_cannot_be_used_is_found_before_anything_is_moved(site: Site) -> None:
    site.send(1)
    site.bury(2)
    wrong = replace(site.topology.work("default"), arguments={"x-queue-type": "classic"})
    with Admin(site.to.engine.options.nodes, timeout_s=10) as admin:
        admin.declare(wrong)

    with pytest.raises(QueueMismatch, match="default"):
        site.move()

    assert site.left() == 2
    assert site.send(3)  # there is no marker yet


def test_what_comes_to_the_file_meanwhile_is_moved_too(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "BATCH", 50)
    site.send(*range(100))
    more = iter([[100, 101], [102], []])

    def moved(kind: str, count: int) -> None:
        if kind == "queued":
            site.send(*next(more, []))  # as a producer does that has the file open

    report = site.move(moved=moved)

    assert sorted(arguments(site.take(site.topology.work("default")))) == list(range(103))
    assert (report.came, report.is_over) == (3, True)


def test_an_id_that_amqp_cannot_carry_is_no_hindrance(site: Site) -> None:
    [long] = site.send(1)
    with site.file.write() as connection:
        connection.execute("UPDATE actors_message SET message_id = ?, priority = -7", ("i" * 300,))
    site.move()
    [found] = site.take(site.topology.work("default"))
    assert (found.body, found.properties.message_id, found.properties.priority) == (long.encode(), None, None)
