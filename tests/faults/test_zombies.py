"""Workers frozen beyond their lease: what they do when they go on does not count."""

import logging
from collections.abc import Sequence

import pytest

import services
from middleware.keys import digest
from middleware.stores import State
from services.deadline import until
from tests.faults.conftest import Deploy
from tests.faults.deployment import Deployment, Message
from tests.faults.effects import Run

log = logging.getLogger(__name__)


@pytest.mark.parametrize(
    "heartbeat_s", [pytest.param(30, id="still-connected", marks=pytest.mark.long), pytest.param(1, id="disconnected")]
)
def test_a_worker_frozen_beyond_its_lease_changes_nothing_when_it_goes_on(
    heartbeat_s: int, rabbitmq_server: services.RabbitMQ, redis_url: str, deploy: Deploy
) -> None:
    # Given a worker with a job in each thread, of which some will fail, and as many messages ahead as it may have
    settings = {"ACTORS_BROKER_HEARTBEAT_S": str(heartbeat_s), "ACTORS_PREFETCH": "28"}
    site = deploy(rabbitmq_server.url, redis_url, lease_ms=500, **settings)
    zombie = site.start()
    running = site.send("once_count", ["ends-0", "ends-1", "ends-2", "ends-3"], pause_ms=1_500)
    running += site.send("once_falter", ["retries-0", "retries-1"], pause_ms=1_500, max_retries=3, min_backoff=100)
    running += site.send("once_falter", ["dies-0", "dies-1"], pause_ms=1_500, max_retries=0)
    until(lambda: len(site.effects.runs()) == 8, seconds=10, what="the start of the jobs")
    messages = running + site.send("once_count", [f"ahead-{number}" for number in range(20)])
    until(lambda: len(site.open_records()) == 28, seconds=10, what="claims of what is ahead")

    # When it is frozen, another takes its work over, and it goes on
    zombie.freeze()
    if heartbeat_s > 10:  # RabbitMQ gives them to nobody else so soon
        for message in messages:
            site.broker.enqueue(message)
    site.start()
    until(lambda: len(_done_by_others(site, zombie.group)) == 28, seconds=15, what="the takeover")
    until(lambda: not site.open_records(), seconds=5, what="the records of the other worker")
    zombie.thaw()
    until(lambda: all(run.ended for run in site.effects.runs()), seconds=10, what="the end of the zombie's jobs")
    site.stop()

    # Then nothing that it had taken ahead ran in it, and no outcome of its was recorded or followed by anything
    of_zombie = [run for run in site.effects.runs() if run.worker == zombie.group]
    of_other = _done_by_others(site, zombie.group)
    stale = site.said("stale")
    log.info(
        "sent 28, run by the zombie %d, by the other %d, all with maybe_ran; %d outcomes did not count",
        len(of_zombie),
        len(of_other),
        len(stale),
    )
    assert [(run.message_id, run.maybe_ran) for run in _in_order(of_zombie)] == [
        (each, False) for each in _ids(running)
    ]
    assert [(run.message_id, run.maybe_ran) for run in _in_order(of_other)] == [(each, True) for each in _ids(messages)]
    assert [stale[each] for each in _ids(running)] == [1] * 8
    for run, message in zip(_in_order(of_other), sorted(messages, key=lambda each: each.message_id), strict=True):
        record = site.store.inspect(digest(message.actor_name, message.message_id))
        assert record is not None
        assert (record.state, record.fence) == (State.DONE, run.fence)
        assert site.result(message) == run.fence
    assert site.left() == {}


def _done_by_others(site: Deployment, zombie: int) -> list[Run]:
    return [run for run in site.effects.runs() if run.worker != zombie and run.ended is not None]


def _in_order(runs: Sequence[Run]) -> list[Run]:
    return sorted(runs, key=lambda run: run.message_id)


def _ids(messages: Sequence[Message]) -> list[str]:
    return sorted(message.message_id for message in messages)
