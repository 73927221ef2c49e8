"""Workers killed around the end of messages: whoever waits for an end is told of it, once."""

import logging
import time

import pytest

import services
from tests.faults.conftest import Deploy
from tests.faults.deployment import WARM_WORKERS

log = logging.getLogger(__name__)


@pytest.mark.parametrize(
    ("kills", "messages"),
    [
        pytest.param(5, 100, id="5-kills"),
        pytest.param(60, 1_800, id="60-kills", marks=[pytest.mark.long, pytest.mark.timeout(600)]),
    ],
)
def test_each_end_is_told_once_though_workers_are_killed_around_it(
    kills: int, messages: int, rabbitmq_server: services.RabbitMQ, redis_url: str, deploy: Deploy
) -> None:
    # Given messages of which each second one fails for good
    site = deploy(rabbitmq_server.url, redis_url, lease_ms=1_000)
    site.start(WARM_WORKERS)
    keys = [f"{'bad' if number % 2 else 'good'}-{number}" for number in range(messages)]

    # When workers are killed while they run, are tried again, end and are told of
    site.kill_around_bursts("once_end", keys, kills, within_s=0.3)
    good, bad = keys[::2], keys[1::2]
    told = [f"succeeded:{key}" for key in good]
    told += [f"failed:{key}:exhausted" for key in bad] + [f"exhausted:{key}:1" for key in bad]
    site.wait_for(told, seconds=site.lease_s + 10)
    time.sleep(site.lease_s + 0.5)  # a copy that found its key held looks again within a lease
    site.stop()

    # Then each was told once, unless the worker that was told died of it, and each failure is dead-lettered
    letters = site.dead_letters()
    log.info(
        "sent %d, told %d of %d ends, dead %d (%d copies), kills %d",
        messages,
        len(site.effects.runs()),
        len(told),
        len({letter.message_id for letter in letters}),
        len(letters) - len({letter.message_id for letter in letters}),
        len(site.killed),
    )
    assert site.effects.by_key().keys() == set(told)
    assert site.effects.wrong(killed=site.killed) == []
    assert {letter.args[0] for letter in letters} == set(bad)
    # The trail is in the message: a copy of an earlier attempt lacks what came after it.
    trails = [[each["attempt"] for each in letter.options.get("attempts", ())] for letter in letters]
    assert all(trail in ([1, 2], [1], [2], []) for trail in trails)
    assert sum(trail == [1, 2] for trail in trails) > len(bad) / 2
    assert site.left() == {site.dead_queue: len(letters)}
