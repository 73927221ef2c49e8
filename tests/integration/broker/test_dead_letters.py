"""Dead letters on a real RabbitMQ: what their headers say, and that none is lost on its way."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import Any

import dramatiq
import pika
import pytest

import services
from actors.brokers.rabbitmq import RabbitmqBroker, RabbitmqEngine
from actors.configuration import read
from actors.engines import engine_of
from middleware import Letter
from middleware.keys import digest
from middleware.stores.redis import RedisStore
from services.deadline import until
from tests.conformance.stores.subject import claim
from tests.faults.toll import Grave, graves
from tests.integration.broker.conftest import Declare, MakeBroker, RunWorker, full

Message = dramatiq.Message[Any]


def dead(broker: RabbitmqBroker, count: int = 1) -> list[Grave]:
    """Return the dead letters once there are *count*; they stay where they are."""
    until(lambda: broker.get_queue_message_counts("default")[2] >= count, seconds=15, what="the dead letters")
    name = broker.engine.options.topology.dead("default").name
    return graves(broker.engine.options.nodes.urls[0], name)


def publish(broker: RabbitmqBroker, channel: Any, body: bytes, **properties: Any) -> None:
    """Publish *body* as another producer would."""
    broker.declare_queue("default", ensure=True)
    work = broker.engine.options.topology.work("default").name
    channel.basic_publish("", work, body, pika.BasicProperties(**properties))


def failing(error: BaseException, runs: list[object] | None = None) -> Callable[..., None]:
    """Return what fails with *error*, and notes that in *runs*."""

    def job(number: object = 0) -> None:
        if runs is not None:
            runs.append(number)
        raise error

    return job


def exhausted(declare: Declare, broker: RabbitmqBroker, store: RedisStore) -> Message:
    job = declare(broker, failing(LookupError("no")), actor_name="job", max_retries=1, min_backoff=1, max_backoff=1)
    return job.message(1)


def refused(declare: Declare, broker: RabbitmqBroker, store: RedisStore) -> Message:
    job = declare(broker, failing(ValueError("no")), actor_name="job", retry_when=lambda attempt, error: False)
    return job.message(1)


def thrown(declare: Declare, broker: RabbitmqBroker, store: RedisStore) -> Message:
    return declare(broker, failing(KeyError("no")), actor_name="job", throws=KeyError).message(1)


def expired(declare: Declare, broker: RabbitmqBroker, store: RedisStore) -> Message:
    message = declare(broker, failing(KeyError("no")), actor_name="job", max_age=1).message(1)
    return message.copy(message_timestamp=message.message_timestamp - 1_000)


def conflicting(declare: Declare, broker: RabbitmqBroker, store: RedisStore) -> Message:
    job = declare(broker, lambda number: None, actor_name="job", idempotency_key="order")
    claim(store, key="order", scope="job", digest=digest("job", "order"), owner="another", fingerprint="other")
    return job.message(1)


def poisonous(declare: Declare, broker: RabbitmqBroker, store: RedisStore) -> Message:
    message = declare(broker, lambda number: None, actor_name="job", max_losses=1).message(1)
    name = message.message_id
    lost = claim(
        store, key=name, scope="job", digest=digest("job", name), owner=name, lease_ms=1, ttl_ms=60_000, max_losses=1
    )
    assert store.mark(lost)
    return message


def unknown(declare: Declare, broker: RabbitmqBroker, store: RedisStore) -> Message:
    return dramatiq.Message("default", "job", (1,), {}, {})


def undecodable(declare: Declare, broker: RabbitmqBroker, store: RedisStore) -> Message:
    return declare(broker, lambda number: None, actor_name="job").message(1).copy(options={"max_age": "1h"})


def too_large(declare: Declare, broker: RabbitmqBroker, store: RedisStore) -> Message:
    job = declare(broker, lambda number: "x" * 5_000, actor_name="job")
    after = declare(broker, lambda text: None, actor_name="after")
    message: Message = (job.message(1) | after.message()).messages[0]
    return message


CASES = [
    (exhausted, "exhausted", "LookupError", 2),
    (refused, "predicate", "ValueError", 1),
    (thrown, "throws", "KeyError", 1),
    (expired, "expired", "Expired", 0),
    (conflicting, "conflict", "Conflict", 0),
    (poisonous, "poison", "Poison", 0),
    (unknown, "unknown_actor", "ActorNotFound", 0),
    (undecodable, "undecodable", "InvalidPolicy", 0),
    (too_large, "too_large", "MessageTooLarge", 0),
]


@pytest.mark.parametrize(("make", "reason", "error_type", "attempts"), CASES, ids=[case[1] for case in CASES])
def test_a_header_says_why_a_message_is_dead(
    make: Callable[..., Message],
    reason: str,
    error_type: str,
    attempts: int,
    make_broker: MakeBroker,
    declare: Declare,
    run_worker: RunWorker,
    store: RedisStore,
    channel: Any,
) -> None:
    broker = make_broker(max_message_bytes=4_000)
    before = time.time_ns() // 1_000_000
    message = make(declare, broker, store)
    publish(broker, channel, message.encode())
    run_worker(broker)
    (grave,) = dead(broker)

    letter = grave.letter
    assert grave.properties.headers is not None
    assert letter == Letter.from_header(grave.properties.headers["dead_letter"])
    assert (letter.reason, letter.message_id, letter.actor) == (reason, message.message_id, "job")
    assert (letter.queue, letter.enqueued) == ("default", message.message_timestamp)
    assert (letter.error_type, letter.attempts) == (error_type, attempts)
    assert before <= letter.died <= before + 60_000
    assert (grave.properties.message_id, grave.properties.delivery_mode) == (message.message_id, 2)
    options = dramatiq.Message.decode(grave.body).options
    assert (options["failure"]["reason"], options["failure"]["type"]) == (reason, letter.error_type)
    assert options["traceback"]
    assert broker.get_queue_message_counts("default")[0] == 0


@pytest.mark.parametrize("idempotent", [True, False])
def test_a_message_is_acked_once_its_letter_is_confirmed_and_reported_then(
    idempotent: bool,
    make_broker: MakeBroker,
    declare: Declare,
    run_worker: RunWorker,
    rabbitmq_server: services.RabbitMQ,
    prefix: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    # Given dead letters that RabbitMQ refuses
    broker = make_broker(queue_type="classic")
    runs: list[object] = []
    job = declare(broker, failing(LookupError("no"), runs), actor_name="job", max_retries=0, idempotent=idempotent)
    broker.engine.declarations.dead("default")
    with full(rabbitmq_server, prefix, "default\\.XQ$"), caplog.at_level(logging.WARNING):
        message = job.send(1)
        run_worker(broker)

        # When a message fails, it comes again, and again
        until(lambda: caplog.text.count("RabbitMQ refused it") >= 2, seconds=20, what="refusals")
        assert broker.dead_letter.counts == {}
        assert broker.get_queue_message_counts("default")[2] == 0

    # Then it is a dead letter as soon as that is accepted, and is reported once
    (grave,) = dead(broker)
    assert (grave.letter.message_id, grave.letter.reason) == (message.message_id, "exhausted")
    until(lambda: broker.dead_letter.counts == {"exhausted": 1}, seconds=5, what="its report")
    assert [record.name for record in caplog.records].count("middleware.dead_letter") == 1
    assert broker.get_queue_message_counts("default")[0] == 0
    assert len(runs) == 1 if idempotent else len(runs) >= 2


@pytest.mark.parametrize(("value", "expiration"), [(None, None), ("86400000", "86400000")])
def test_a_setting_says_how_long_dead_letters_are_kept(
    value: str | None,
    expiration: str | None,
    make_broker: MakeBroker,
    declare: Declare,
    run_worker: RunWorker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ACTORS_DEAD_LETTER_RETENTION_MS", raising=False)
    if value is not None:
        monkeypatch.setenv("ACTORS_DEAD_LETTER_RETENTION_MS", value)
    engine = engine_of(read({"broker_url": "amqp://h/"}), list)
    assert isinstance(engine, RabbitmqEngine)
    broker = make_broker(dead_letter_retention_ms=engine.options.dead_letter_retention_ms)
    declare(broker, failing(LookupError("no")), actor_name="job", max_retries=0).send(1)
    run_worker(broker)

    assert [grave.properties.expiration for grave in dead(broker)] == [expiration]


def test_a_dead_letter_is_gone_after_its_retention(
    make_broker: MakeBroker, declare: Declare, run_worker: RunWorker, queue_type: str
) -> None:
    broker = make_broker(queue_type=queue_type, dead_letter_retention_ms=300)
    declare(broker, failing(LookupError("no")), actor_name="job", max_retries=0).send(1)
    run_worker(broker)

    until(lambda: broker.dead_letter.counts == {"exhausted": 1}, seconds=15, what="the dead letter")
    until(lambda: broker.get_queue_message_counts("default")[2] == 0, seconds=15, what="its end")


@pytest.mark.parametrize(
    "message_id", ["", "x" * 255, "x" * 300, "日" * 100, "x" * 200_000, "\ud800"], ids=lambda each: f"{len(each)}"
)
@pytest.mark.parametrize("idempotent", [True, False])
def test_a_message_of_any_id_is_a_dead_letter_with_it(
    message_id: str,
    idempotent: bool,
    make_broker: MakeBroker,
    declare: Declare,
    run_worker: RunWorker,
    channel: Any,
) -> None:
    broker = make_broker()
    job = declare(broker, failing(LookupError("no")), actor_name="job", max_retries=0, idempotent=idempotent)
    publish(broker, channel, json.dumps({**job.message(1).asdict(), "message_id": message_id}).encode())
    run_worker(broker)

    (grave,) = dead(broker)
    assert json.loads(grave.body)["message_id"] == message_id
    assert grave.letter.message_id == message_id.encode("utf-8", "backslashreplace").decode()[:1_000]
    assert (grave.letter.reason, grave.letter.error_type) == ("exhausted", "LookupError")


@pytest.mark.parametrize(
    ("message_id", "said"), [("", ""), ("m1", "m1"), (b"\xff7", "\\xff7"), (b"\xff" * 255, "\\xff" * 250)]
)
def test_what_can_not_be_decoded_is_a_dead_letter_with_the_id_of_its_properties(
    message_id: str | bytes, said: str, make_broker: MakeBroker, run_worker: RunWorker, channel: Any
) -> None:
    broker = make_broker()
    publish(broker, channel, b"\xff\x00", message_id=message_id)
    run_worker(broker)

    (grave,) = dead(broker)
    assert grave.body == b"\xff\x00"
    assert (grave.letter.reason, grave.letter.message_id) == ("undecodable", said)
    assert grave.properties.message_id == (said if 0 < len(said) <= 255 else grave.letter.id)


HOSTILE: list[dict[str, Any]] = [
    {"args": ["\ud800"]},
    {"options": {"note": "\ud800"}},
    {"options": {"attempts": [{"attempt": 1, "at": 10**30}]}},
    {"options": {"failure": {"reason": "x" * 200_000, "type": "x" * 200_000, "message": "\ud800"}}},
    {"options": {"idempotency_key": "x" * 200_000}},
    {"options": {"traceback": "\ud800" * 1_000}},
    {"message_timestamp": 10**30},
    {"actor_name": "x" * 200_000},
    {"actor_name": "\ud800"},
    {"queue_name": "x" * 200_000},
]


@pytest.mark.parametrize("fields", HOSTILE, ids=range(len(HOSTILE)))
def test_a_message_that_nobody_would_send_on_purpose_is_a_dead_letter_and_the_next_one_runs(
    fields: dict[str, Any], make_broker: MakeBroker, declare: Declare, run_worker: RunWorker, channel: Any
) -> None:
    broker = make_broker()
    ran: list[int] = []
    job = declare(broker, failing(LookupError("no")), actor_name="job", max_retries=0)
    publish(broker, channel, json.dumps({**job.message(1).asdict(), **fields}).encode())
    declare(broker, ran.append, actor_name="other").send(2)
    run_worker(broker)

    (grave,) = dead(broker)
    assert grave.letter.reason in ("exhausted", "unknown_actor", "undecodable")
    until(lambda: ran == [2], seconds=10, what="the next one")
    until(lambda: broker.get_queue_message_counts("default")[0] == 0, seconds=5, what="an empty queue")
