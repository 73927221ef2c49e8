"""Messages that fail for each reason there is, while workers and RabbitMQ are killed: each ends in a dead letter."""

import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import dramatiq
import pika
import pytest

import services
from middleware.failure import Reason
from services.deadline import until
from tests.faults import failures
from tests.faults.conftest import Deploy
from tests.faults.deployment import QUEUE, Deployment, Message
from tests.faults.supervisor import supervised
from tests.faults.toll import Grave, Toll, graves

log = logging.getLogger(__name__)

WORKERS = 3
# Few, so that what one death can double is few.
PREFETCH = 10
ERRORS = {
    Reason.EXHAUSTED: {"LookupError"},
    Reason.PREDICATE: {"ValueError"},
    Reason.THROWS: {"KeyError"},
    Reason.EXPIRED: {"Expired"},
    Reason.CONFLICT: {"Conflict"},
    Reason.POISON: {"Poison"},
    Reason.UNKNOWN_ACTOR: {"ActorNotFound"},
    Reason.UNDECODABLE: {"DecodeError", "TypeError"},
    Reason.TOO_LARGE: {"MessageTooLarge"},
}
# What its actor raises is the end of these; all others have no traceback of their own.
RAISED = {
    Reason.EXHAUSTED: "LookupError: no {}",
    Reason.PREDICATE: "ValueError: bad {}",
    Reason.THROWS: "KeyError: '{}'",
}
NO_MESSAGES = [b"\xff\x00 %d", b"[%d]", b'{"args": %d}', b'{"queue_name": %d, "options": []}']


@dataclass
class Sent:
    """What was sent, and how it should end.

    Attributes:
        reasons: why each message is to be dead, by its id.
        bodies: what can't be decoded, by message id.
        good: the keys of all that is to succeed.
        keys: the key of each message that is to be dead, by its id.
    """

    reasons: dict[str, Reason] = field(default_factory=dict)
    bodies: dict[str, bytes] = field(default_factory=dict)
    good: list[str] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)


@pytest.mark.parametrize(
    ("bursts", "each"), [(3, 4), pytest.param(16, 7, id="long", marks=[pytest.mark.long, pytest.mark.timeout(900)])]
)
def test_every_message_that_fails_is_a_dead_letter_though_workers_and_rabbitmq_are_killed(
    bursts: int, each: int, private_rabbitmq: services.RabbitMQ, redis_url: str, deploy: Deploy
) -> None:
    # Given workers, and keys that are used
    site = deploy(
        private_rabbitmq.url,
        redis_url,
        lease_ms=1_000,
        module=failures,
        ACTORS_PREFETCH=str(PREFETCH),
        ACTORS_MAX_MESSAGE_BYTES=str(failures.MAX_MESSAGE_BYTES),
    )
    sent, toll, server_kills, kills = Sent(), Toll(site.effects.path), 0, 0
    began = time.monotonic()
    with supervised(site, WORKERS) as supervisor:
        use_keys(site, sent, bursts * each)
        until(lambda: toll.ended.keys() >= set(sent.good), seconds=60, what="the use of the keys")
        time.sleep(2)  # RabbitMQ 3.10 forgets a quorum queue when it is killed in the queue's first second

        # When all kinds of failing messages come in bursts, and what works on them is killed
        for burst in range(bursts):
            until(lambda: len(site.warm()) >= 2, seconds=90, what="warm workers")
            killer = threading.Timer(random.uniform(0, 0.3), random.choice(site.warm()).kill)
            killer.start()
            send(site, sent, private_rabbitmq.url, range(burst * each, (burst + 1) * each))
            killer.join()
            kills += 1
            if bursts > 3 and burst % 5 == 2:
                time.sleep(random.uniform(0, 1))  # the instant of the fault
                private_rabbitmq.kill()
                private_rabbitmq.start()
                server_kills += 1

        # Then each of them is a dead letter, and all others are done
        until(lambda: toll.ended.keys() >= set(sent.good), seconds=400, what="all that succeeds")
        until(lambda: site.ready().get(site.dead_queue, 0) >= len(sent.reasons), seconds=200, what="dead letters")
        until(lambda: ids(site, private_rabbitmq.url) >= sent.reasons.keys(), seconds=200, what="all dead letters")
        time.sleep(site.lease_s + 2.5)  # what could not be forwarded, or found its key held, comes again by then
    found = graves(private_rabbitmq.url, site.dead_queue)
    letters = {grave.letter.id for grave in found}
    untold = letters - {grave.letter.id for grave in found if has_traceback(grave)}
    log.info(
        "sent %d good, %d bad; done %d; dead %s; copies %d; without a traceback %d; "
        "workers killed %d, dead of poison %d; RabbitMQ killed %d, in %.0f s",
        len(sent.good),
        len(sent.reasons),
        len(toll.ended.keys() & set(sent.good)),
        dict(Counter(grave.letter.reason for grave in {grave.letter.id: grave for grave in found}.values())),
        len(found) - len(letters),
        len(untold),
        kills,
        supervisor.deaths - kills,
        server_kills,
        time.monotonic() - began,
    )
    assert {grave.letter.message_id for grave in found} == sent.reasons.keys()
    assert len(letters) == len(sent.reasons)
    assert toll.ended.keys() == set(sent.good)
    for grave in found:
        check(grave, sent)
    # A death leaves at most what it had taken, and the loss of a connection what had not been confirmed to any.
    in_doubt = PREFETCH * (supervisor.deaths + server_kills * WORKERS)
    assert len(found) - len(letters) <= in_doubt
    assert untold == set()
    assert supervisor.deaths > kills
    assert site.left() == {site.dead_queue: len(found)}


def use_keys(site: Deployment, sent: Sent, count: int) -> None:
    """Let messages with so many keys succeed."""
    actor = site.broker.get_actor("ends_in_conflict")
    keys = [f"used-{number}" for number in range(count)]
    site.broker.enqueue_many(
        [actor.message_with_options(args=(key, 1), idempotency_key=key) for key in keys],
    )
    sent.good.extend(f"{key}#1" for key in keys)


def send(site: Deployment, sent: Sent, url: str, numbers: Sequence[int]) -> None:
    """Send a message of each kind for each of *numbers*, and twice as many that succeed, in random order."""
    bad, good, raw = list[Message](), list[Message](), dict[str, bytes]()
    for number in numbers:
        for reason, message in failing(site, number).items():
            bad.append(message)
            sent.reasons[message.message_id] = reason
            sent.keys[message.message_id] = str(message.args[0])
        raw[f"raw-{number}"] = NO_MESSAGES[number % len(NO_MESSAGES)] % number
        for key in (f"once-{number}", f"twice-{number}"):
            good.append(site.broker.get_actor("ends_well").message(key))
            sent.good.append(key)
    sent.reasons |= dict.fromkeys(raw, Reason.UNDECODABLE)
    sent.bodies |= raw
    publish(url, site.work_queue, raw)
    site.broker.enqueue_many(random.sample(bad + good, len(bad + good)))


def failing(site: Deployment, number: int) -> dict[Reason, Message]:
    """Return a message for each reason that one which can be decoded may fail for."""
    actors, key = site.broker.actors, f"key-{number}"
    used = actors["ends_in_conflict"].message_with_options(args=(key, 2), idempotency_key=f"used-{number}")
    nobody: Message = dramatiq.Message(QUEUE, "nobody", (key,), {}, {})
    large = actors["ends_too_large"].message(key) | actors["ends_well"].message()
    return {
        Reason.EXHAUSTED: actors["ends_exhausted"].message(key),
        Reason.PREDICATE: actors["ends_by_predicate"].message(key),
        Reason.THROWS: actors["ends_by_throws"].message(key),
        Reason.EXPIRED: actors["ends_expired"].message(key),
        Reason.CONFLICT: used,
        Reason.POISON: actors["ends_poisonous"].message(key),
        Reason.UNKNOWN_ACTOR: nobody,
        Reason.TOO_LARGE: large.messages[0],
    }


def publish(url: str, queue: str, bodies: dict[str, bytes]) -> None:
    """Publish what no broker of ours would; return once it is confirmed."""
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for message_id, body in bodies.items():
            properties = pika.BasicProperties(message_id=message_id, delivery_mode=2)
            channel.basic_publish("", queue, body, properties, mandatory=True)


def ids(site: Deployment, url: str) -> set[str]:
    return {grave.letter.message_id for grave in graves(url, site.dead_queue)}


def check(grave: Grave, sent: Sent) -> None:
    """Assert that the letter says what has befallen its message, and that the message is what was sent."""
    letter = grave.letter
    reason = sent.reasons[letter.message_id]
    assert letter.reason == reason, letter
    assert letter.error_type in ERRORS[reason], letter
    assert (letter.queue, grave.properties.delivery_mode) == (QUEUE, 2)
    if reason is Reason.UNDECODABLE:
        assert grave.body == sent.bodies[letter.message_id]
        return
    message = dramatiq.Message.decode(grave.body)
    assert (message.message_id, message.actor_name) == (letter.message_id, letter.actor)
    assert message.args[0] == sent.keys[letter.message_id]
    assert message.options["failure"]["reason"] == reason
    if reason in RAISED:
        assert RAISED[reason].format(message.args[0]) in message.options["traceback"]


def has_traceback(grave: Grave) -> bool:
    """Return whether all is there that its actor had raised: a copy of an earlier attempt tells the error only."""
    if grave.letter.reason not in RAISED:
        return True
    return "Traceback (most recent call last)" in dramatiq.Message.decode(grave.body).options["traceback"]
