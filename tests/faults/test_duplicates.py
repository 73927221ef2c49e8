"""The same work asked for many times at once, and while it goes on."""

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

import pytest

import services
from services.deadline import until
from tests.faults.conftest import Deploy
from tests.faults.deployment import Deployment, Message

log = logging.getLogger(__name__)


def test_a_message_published_up_to_ten_times_at_once_is_done_once(
    rabbitmq_server: services.RabbitMQ, redis_url: str, deploy: Deploy
) -> None:
    site = deploy(rabbitmq_server.url, redis_url, lease_ms=1_000)
    site.start(3)
    actor = site.broker.get_actor("once_count")
    copies = {
        f"key-{number}": [actor.message_with_options(args=(f"key-{number}", random.randint(0, 50)))]
        * random.randint(2, 10)
        for number in range(100)
    }
    _all_is_done_once(site, copies)


@pytest.mark.long
def test_of_ten_messages_at_once_with_the_same_key_one_is_done(
    rabbitmq_server: services.RabbitMQ, redis_url: str, deploy: Deploy
) -> None:
    site = deploy(rabbitmq_server.url, redis_url, lease_ms=1_000)
    site.start(3)
    actor = site.broker.get_actor("once_charge")
    copies = {
        f"key-{number}": [
            actor.message_with_options(args=(f"key-{number}", 30), on_duplicate=random.choice(["skip", "wait"]))
            for _ in range(random.randint(2, 10))
        ]
        for number in range(100)
    }
    _all_is_done_once(site, copies)


@pytest.mark.long
def test_a_job_five_leases_long_runs_once_though_copies_of_it_come_meanwhile(
    rabbitmq_server: services.RabbitMQ, redis_url: str, deploy: Deploy
) -> None:
    # Given a job that is five leases long
    site = deploy(rabbitmq_server.url, redis_url, lease_ms=500)
    site.start(2)
    (long,) = site.send("once_charge", ["long"], pause_ms=2_500)
    until(site.effects.runs, seconds=10, what="its start")

    # When it comes again, as itself and as others with its key, which wait or don't
    site.broker.enqueue(long)
    waiting = site.send("once_charge", ["long"], pause_ms=2_500, on_duplicate="wait")
    skipped = site.send("once_charge", ["long"], pause_ms=2_500)
    site.wait_for(["long"], seconds=5)
    copies = [long, *waiting, *skipped]
    until(lambda: site.said("duplicate").keys() >= _ids(copies), seconds=site.lease_s + 5, what="the end of the copies")
    site.stop()

    # Then it has run once, and whoever waited has its result
    (run,) = site.effects.runs()
    log.info("sent 4, run 1, maybe_ran 0, copies put off %d times", site.said("later").total())
    assert run.ended is not None
    assert run.ended - run.began >= 5 * site.lease_s
    assert not run.maybe_ran
    assert site.said("duplicate") == dict.fromkeys(_ids(copies), 1)
    assert site.result(long) == site.result(waiting[0]) == run.fence
    assert site.open_records() == []
    assert site.left() == {}


def _all_is_done_once(site: Deployment, copies: dict[str, list[Message]]) -> None:
    """Send all *copies* of each key at once, and look at what comes of it."""
    began = time.monotonic()
    _at_once([partial(_enqueue, site, hand) for hand in _dealt(copies, 10)])
    site.wait_for(copies, seconds=10)
    sent = sum(map(len, copies.values()))
    until(lambda: site.said("duplicate").total() == sent - len(copies), seconds=10, what="the end of the copies")
    took_s = time.monotonic() - began
    site.stop()
    runs = site.effects.runs()
    log.info(
        "keys %d, sent %d, run %d, maybe_ran %d, duplicates %d, put off %d times, in %.1f s",
        len(copies),
        sent,
        len(runs),
        sum(run.maybe_ran for run in runs),
        site.said("duplicate").total(),
        site.said("later").total(),
        took_s,
    )
    assert sorted(run.key for run in runs) == sorted(copies)
    assert not any(run.maybe_ran for run in runs)
    assert all(run.ended for run in runs)
    assert site.said("duplicate").total() == sent - len(copies)
    assert site.open_records() == []
    assert site.left() == {}


def _enqueue(site: Deployment, messages: Sequence[Message]) -> None:
    for message in messages:
        site.broker.enqueue(message)


def _dealt(copies: dict[str, list[Message]], hands: int) -> list[list[Message]]:
    """Deal the messages to *hands*, so that each hand has one of a key, in the same order."""
    return [[each[hand] for each in copies.values() if hand < len(each)] for hand in range(hands)]


def _at_once(calls: Sequence[Callable[[], object]]) -> None:
    together = threading.Barrier(len(calls))

    def run(call: Callable[[], object]) -> None:
        together.wait()
        call()

    threads = [threading.Thread(target=run, args=[call]) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


def _ids(messages: Sequence[Message]) -> set[str]:
    return {message.message_id for message in messages}
