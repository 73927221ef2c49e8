"""Messages that kill the worker they run in, beside others that do not."""

import logging
import random
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

import services
from actors.brokers.topology import QueueType
from middleware.stores import State
from services.deadline import until
from tests.faults import killers
from tests.faults.conftest import Deploy
from tests.faults.deployment import Deployment, Message
from tests.faults.supervisor import Supervisor, supervised
from tests.faults.toll import Grave, Toll, graves

log = logging.getLogger(__name__)

LEASE_MS = 500
MAX_LOSSES = 3
# How long a killer lives, where others are to begin beside it.
PAUSE_MS = 50
NEIGHBOURS = tuple(f"neighbour-{number}" for number in range(60))

QUICK = [("segfault", "killer_unguarded", "quorum")]
CASES = [
    pytest.param(*case, id="-".join(case), marks=() if case in QUICK else pytest.mark.long)
    for way in killers.WAYS
    for actor in ("killer_keyed", "killer_unguarded")
    for queue_type in ("quorum", "classic")
    for case in [(way, actor, queue_type)]
]


@pytest.mark.parametrize(("way", "actor", "queue_type"), CASES)
def test_what_kills_its_worker_is_poison_after_so_many_workers_and_its_neighbours_are_done(
    way: str, actor: str, queue_type: QueueType, rabbitmq_server: services.RabbitMQ, redis_url: str, deploy: Deploy
) -> None:
    # Given a killer amid neighbours, of which some are slow
    site = deploy(rabbitmq_server.url, redis_url, lease_ms=LEASE_MS, queue_type=queue_type, module=killers)
    send(site, actor, NEIGHBOURS[:25])
    (killer,) = send(site, actor, ["killer"], way=way)
    send(site, actor, NEIGHBOURS[25:])

    # When a worker that is always started again takes them all
    with supervised(site, 1) as supervisor:
        toll = await_the_end(site, 1, NEIGHBOURS)

    # Then the killer has had as many workers as it may, and it alone is dead
    (grave,) = report(site, toll, supervisor, {killer.message_id: killer})
    assert toll.begun["killer"] == supervisor.deaths == MAX_LOSSES
    assert grave.letter.error == f"poison: its workers were lost {MAX_LOSSES} times"


@pytest.mark.parametrize(
    ("actor", "max_losses", "deaths"),
    [
        pytest.param("killer_keyed", 1, 1, marks=pytest.mark.long),
        pytest.param("killer_keyed", 5, 5, marks=pytest.mark.long),
        # Nothing is recorded of the first run of a message that is not guarded.
        ("killer_unguarded", 1, 2),
        pytest.param("killer_unguarded", 2, 2, marks=pytest.mark.long),
        pytest.param("killer_unguarded", 5, 5, marks=pytest.mark.long),
    ],
)
def test_an_actor_says_how_many_workers_its_message_may_cost(
    actor: str, max_losses: int, deaths: int, rabbitmq_server: services.RabbitMQ, redis_url: str, deploy: Deploy
) -> None:
    site = deploy(rabbitmq_server.url, redis_url, lease_ms=LEASE_MS, module=killers)
    (killer,) = send(site, actor, ["killer"], way="sigkill", max_losses=max_losses)
    send(site, actor, NEIGHBOURS)

    with supervised(site, 1) as supervisor:
        toll = await_the_end(site, 1, NEIGHBOURS)

    (grave,) = report(site, toll, supervisor, {killer.message_id: killer})
    assert toll.begun["killer"] == supervisor.deaths == deaths
    assert grave.letter.error == f"poison: its workers were lost {deaths} times"


@pytest.mark.long
@pytest.mark.parametrize("actor", ["killer_by_id", "killer_unguarded"])
def test_two_killers_in_one_worker_are_both_poison(
    actor: str, rabbitmq_server: services.RabbitMQ, redis_url: str, deploy: Deploy
) -> None:
    site = deploy(rabbitmq_server.url, redis_url, lease_ms=LEASE_MS, module=killers)
    pair = send(site, actor, ["killer-0", "killer-1"], way="exit", pause_ms=PAUSE_MS)
    send(site, actor, NEIGHBOURS)

    with supervised(site, 1) as supervisor:
        toll = await_the_end(site, 2, NEIGHBOURS)

    # The first loss makes all suspect that the worker had taken, also what had not begun. The one may kill a worker
    # that has just forwarded the other.
    report(site, toll, supervisor, {killer.message_id: killer for killer in pair})
    assert {toll.begun[f"killer-{number}"] for number in range(2)} <= {MAX_LOSSES - 1, MAX_LOSSES}
    assert MAX_LOSSES <= supervisor.deaths <= 2 * MAX_LOSSES - 1


def test_a_killer_without_a_key_costs_workers_while_redis_is_away_and_is_poison_when_it_is_back(
    rabbitmq_server: services.RabbitMQ, private_redis: services.Redis, deploy: Deploy
) -> None:
    # Given a killer without a key, amid neighbours without keys, and no Redis
    site = deploy(rabbitmq_server.url, private_redis.url, lease_ms=LEASE_MS, module=killers)
    private_redis.stop()
    send(site, "killer_unguarded", NEIGHBOURS[:25])
    # Slower than all of them: nobody knows meanwhile what it is, and what it beats never comes to its end.
    (killer,) = send(site, "killer_unguarded", ["killer"], way="exit", pause_ms=800)
    send(site, "killer_unguarded", NEIGHBOURS[25:])
    toll = Toll(site.effects.path)

    with supervised(site, 1) as supervisor:
        # When it has cost more workers than it may
        until(lambda: supervisor.deaths > MAX_LOSSES, seconds=60, what="the deaths")
        until(lambda: toll.ended.keys() >= set(NEIGHBOURS), seconds=60, what="its neighbours")
        assert site.ready().get(site.dead_queue, 0) == 0
        assert site.said("unprotected")[killer.message_id] > 0

        # Then it is counted from when Redis is back
        before = supervisor.deaths
        private_redis.start()
        toll = await_the_end(site, 1, NEIGHBOURS)

    report(site, toll, supervisor, {killer.message_id: killer})
    assert toll.begun["killer"] == supervisor.deaths
    assert MAX_LOSSES - 1 <= supervisor.deaths - before <= MAX_LOSSES


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("queue_type", ["quorum", "classic"])
def test_killers_that_come_one_after_another_take_no_neighbour_along(
    queue_type: QueueType, rabbitmq_server: services.RabbitMQ, redis_url: str, deploy: Deploy
) -> None:
    site = deploy(rabbitmq_server.url, redis_url, lease_ms=LEASE_MS, queue_type=queue_type, module=killers)
    actors = [each.actor_name for each in killers.ACTORS]
    wanted: dict[str, Message] = {}
    neighbours: list[str] = []
    with supervised(site, 3) as supervisor:
        for number, way in enumerate(list(killers.WAYS) * 3):
            around = [f"neighbour-{number}-{each}" for each in range(30)]
            send(site, random.choice(actors), around[:15])
            (killer,) = send(site, actors[number % 3], [f"killer-{number}"], way=way, pause_ms=random.randint(0, 50))
            send(site, random.choice(actors), around[15:])
            wanted[killer.message_id] = killer
            neighbours += around
            toll = await_the_end(site, len(wanted), neighbours)

    report(site, toll, supervisor, wanted)
    assert {toll.begun[f"killer-{number}"] for number in range(12)} == {MAX_LOSSES}
    assert supervisor.deaths == 12 * MAX_LOSSES


@pytest.mark.long
@pytest.mark.timeout(600)
def test_many_killers_at_once_take_fewer_neighbours_along_than_there_are_killers(
    rabbitmq_server: services.RabbitMQ, redis_url: str, deploy: Deploy
) -> None:
    site = deploy(rabbitmq_server.url, redis_url, lease_ms=LEASE_MS, module=killers)
    actors = [each.actor_name for each in killers.ACTORS]
    sent: dict[str, Message] = {}
    neighbours = [f"neighbour-{number}" for number in range(300)]
    for number, way in enumerate(list(killers.WAYS) * 3):
        (killer,) = send(site, actors[number % 3], [f"killer-{number}"], way=way, pause_ms=random.randint(0, PAUSE_MS))
        around = send(site, random.choice(actors), neighbours[number::12])
        sent |= {message.message_id: message for message in [killer, *around]}

    with supervised(site, 3) as supervisor:
        toll = Toll(site.effects.path)
        until(lambda: is_over(site, toll, sent), seconds=400, what="the end of all")
        time.sleep(site.lease_s + 0.5)  # a copy that found its key held looks again within a lease

    # What has its last chance runs beside nothing that has cost workers; a killer of which that is not known yet may
    # end it all the same, once.
    dead = {grave.letter.message_id for grave in graves(site.rabbitmq_url, site.dead_queue)}
    innocent = [sent[each].args[0] for each in dead if not sent[each].args[1]]
    log.info("of %d neighbours %d dead with %d killers", len(neighbours), len(innocent), len(dead) - len(innocent))
    report(site, toll, supervisor, {each: sent[each] for each in dead})
    assert len(dead) - len(innocent) == 12
    assert len(innocent) < 12
    assert toll.ended.keys() >= set(neighbours) - set(innocent)
    for number in range(12):
        assert 1 <= toll.begun[f"killer-{number}"] <= MAX_LOSSES


def is_over(site: Deployment, toll: Toll, sent: Mapping[str, Message]) -> bool:
    """Return whether each message that was sent has ended, or is dead."""
    ended = toll.ended.keys()
    open_ = {each for each, message in sent.items() if message.args[0] not in ended}
    ready = site.ready().get(site.dead_queue, 0)
    return ready >= len(open_) and open_ <= {
        grave.letter.message_id for grave in graves(site.rabbitmq_url, site.dead_queue)
    }


def send(
    site: Deployment, actor: str, keys: Sequence[str], *, way: str = "", pause_ms: int | None = None, **options: Any
) -> list[Message]:
    """Send a message for each of *keys*; without a *pause_ms* of its own each tenth is slow."""
    declared = site.broker.get_actor(actor)
    pauses = [(400 if number % 10 == 5 else 5) if pause_ms is None else pause_ms for number in range(len(keys))]
    return site.broker.enqueue_many(
        [
            declared.message_with_options(args=(key, way, pause), **options)
            for key, pause in zip(keys, pauses, strict=True)
        ]
    )


def await_the_end(site: Deployment, killers: int, neighbours: Sequence[str], *, seconds: float = 100) -> Toll:
    """Wait until all *neighbours* are done, and so many *killers* are dead."""
    toll = Toll(site.effects.path)
    until(lambda: toll.ended.keys() >= set(neighbours), seconds=seconds, what="the end of the neighbours")
    until(lambda: site.ready().get(site.dead_queue, 0) >= killers, seconds=seconds, what="the dead letters")
    # One that had ended, and was not recorded when its worker was killed, runs again.
    states = {State.FAILED}
    until(lambda: {record.state for record in site.open_records()} == states, seconds=seconds, what="the records")
    time.sleep(site.lease_s + 0.5)  # a copy that found its key held looks again within a lease
    return toll


def report(site: Deployment, toll: Toll, supervisor: Supervisor, killers: Mapping[str, Message]) -> list[Grave]:
    """Assert that the *killers* alone are dead, with what is to be said of them; return their letters, copies too."""
    found = graves(site.rabbitmq_url, site.dead_queue)
    again = sum(count - 1 for key, count in toll.begun.items() if not key.startswith("killer"))
    log.info(
        "killers %d, deaths %d, neighbours done %d, begun again %d, dead %d, copies %d",
        len(killers),
        supervisor.deaths,
        len(toll.ended),
        again,
        len({grave.letter.id for grave in found}),
        len(found) - len({grave.letter.id for grave in found}),
    )
    assert {grave.letter.message_id for grave in found} == killers.keys()
    assert len({grave.letter.id for grave in found}) == len(killers)
    for grave in found:
        killer, letter = killers[grave.letter.message_id], grave.letter
        assert (letter.reason, letter.error_type, letter.queue) == ("poison", "Poison", "default")
        assert (letter.actor, letter.key) == (killer.actor_name, key_of(killer))
    assert not any(key.startswith("killer") for key in toll.ended)
    assert {record.state for record in site.open_records()} == {State.FAILED}
    assert {record.owner for record in site.open_records()} == set(killers)
    assert site.left() == {site.dead_queue: len(found)}
    return found


def key_of(killer: Message) -> str:
    return {"killer_keyed": str(killer.args[0]), "killer_by_id": killer.message_id}.get(killer.actor_name, "")
