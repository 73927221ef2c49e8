"""The composition root: settings become the broker, with its middleware in one order."""

from __future__ import annotations

import logging
import platform
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from importlib.metadata import version
from typing import Any, cast

import dramatiq
from dramatiq.middleware import CurrentMessage, Middleware, Pipelines, ShutdownNotifications
from dramatiq.results import Results

from actors.brokers.broker import Broker
from actors.brokers.engine import Engine
from actors.brokers.giving_back import give_back
from actors.brokers.nodes import mask_password
from actors.brokers.rabbitmq import RabbitmqEngine
from actors.brokers.sqlite import SqliteEngine
from actors.configuration import Settings, no_default_broker, read
from actors.encoding import Encoder
from actors.engines import engine_of, fleet_of, store_of
from actors.errors import SettingsError
from actors.fleet.heartbeat import Heartbeat
from actors.fleet.protocol import Fleet
from actors.health.probes import Probes
from actors.instance import instance_dir
from actors.loading import Boot
from actors.logs import together
from actors.metrics.page import counted, metrics_page
from actors.metrics.sharing import shared
from actors.redacting import redaction_of
from middleware import (
    Aborts,
    AgeLimit,
    AsyncIO,
    AttemptLog,
    Attempts,
    Callbacks,
    Concurrency,
    DeadLetter,
    GroupCallbacks,
    Idempotency,
    LogContext,
    Metrics,
    Overlap,
    RecordedResults,
    Recycle,
    RecycleLimits,
    RestoreArguments,
    Retries,
    TickRuns,
    TimeLimit,
    Tracing,
)
from middleware.interrupts import Interrupts
from middleware.policy import Defaults
from middleware.redaction import Redact
from middleware.retry_policy import RetryDefaults
from middleware.stores import Store

log = logging.getLogger("actors")

_settings: Settings | None = None
_store: Store | None = None
_no_default_broker = no_default_broker()
#: Counts what becomes of messages in this process.
metrics = Metrics()


def settings() -> Settings:
    """Return the settings of this process; they are read at first use and stay the same from then on.

    Raises:
        SettingsError: one is unknown or malformed.
    """
    global _settings
    if _settings is None:
        _settings = read({})
    return _settings


def configure(**overrides: Any) -> Settings:
    """Set settings from code, in place of the environment's; for applications with a configuration of their own.

    Call it before the first send; actors that are declared already are routed anew.

    Args:
        **overrides: fields of :class:`~actors.configuration.Settings`, such as ``broker_url="amqp://…"``.

    Raises:
        SettingsError: one is unknown or malformed, or the broker is in use with other settings.
    """
    global _settings, _store
    new = read(overrides)
    if broker.is_in_use and new != _settings:
        raise SettingsError("configure() came too late: the broker is in use; call it before the first send")
    if new != _settings:
        _settings, _store = new, None
    for actor in broker.actors.values():
        actor.queue_name = queue_of(actor.actor_name, getattr(actor, "declared_queue", actor.queue_name))
    broker.queues.clear()
    for actor in broker.actors.values():
        for queue in {actor.queue_name} | getattr(actor, "further_queues", set()):
            broker.declare_queue(queue)
    return new


def store() -> Store:
    """Return the store of idempotency records; it connects at its first use.

    Raises:
        SettingsError: ``ACTORS_STORE_URL`` has an option that can't be used.
    """
    global _store
    if _store is None:
        _store = store_of(settings())
    return _store


def fleet() -> Fleet:
    """Return where processes leave what they tell of themselves.

    Raises:
        SettingsError: ``ACTORS_STORE_URL`` has an option that can't be used.
    """
    return fleet_of(store())


def swap_store(new: Store | None) -> Store | None:
    """Use *new* from now on, or with None what the settings say; return what was used until now. For tests."""
    global _store
    old, _store = _store, new
    return old


def forbid_default_broker(reason: str | None) -> None:
    """From now on refuse to use a RabbitMQ that no setting names, saying *reason*; None allows it again. For tests."""
    global _no_default_broker
    _no_default_broker = reason
    if broker.is_in_use and "broker_url" not in settings().model_fields_set:
        broker.choose_anew()


def queue_of(actor_name: str, declared: str) -> str:
    """Return the queue of an actor: the first route in ``ACTORS_QUEUE_ROUTES`` that matches it, else *declared*."""
    routes = settings().queue_routes
    if actor_name in routes:
        return routes[actor_name]
    return next((queue for pattern, queue in routes.items() if fnmatchcase(actor_name, pattern)), declared)


def enqueue_many(messages: Iterable[dramatiq.Message[Any]]) -> list[dramatiq.Message[Any]]:
    """Send many messages with pipelined confirms, and return them once all are confirmed.

    Args:
        messages: what ``actor.message(...)`` returns; taken a thousand at a time.

    Raises:
        EnqueueError: some were not confirmed: its ``unconfirmed``.
    """
    current = dramatiq.get_broker()
    if isinstance(current, Broker):
        return current.enqueue_many(messages)
    return [current.enqueue(message) for message in messages]


@contextmanager
def in_transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Let all sends of the block be a part of the transaction on *connection*, where jobs are in the same file.

    They are durable when that is committed, and gone when it is rolled back. Commit within the block: at its end
    workers are told to look::

        with actors.in_transaction(connection), connection:
            connection.execute("INSERT INTO orders …")
            charge.send(order_id)

    Args:
        connection: an application's own, to the file that ``ACTORS_BROKER_URL`` names.

    Raises:
        NotJoinable: it is to another file.
        SettingsError: jobs are in RabbitMQ; there, :class:`middleware.Inbox` has an outbox.
    """
    engine = broker.engine
    if not isinstance(engine, SqliteEngine):
        raise SettingsError(
            f"in_transaction: jobs are in {engine.where}, and in no file of yours; use the outbox of middleware.Inbox"
        )
    with engine.joined(connection):
        yield


def identity() -> dict[str, Any]:
    """Return what this process works with, for its start line and for comparing it with others; no passwords."""
    current = settings()
    return {
        "env": current.env,
        "broker": ", ".join(mask_password(url) for url in current.broker_url),
        "store": mask_password(current.store_url),
        "queue_prefix": current.queue_prefix,
        "queue_type": current.queue_type,
        "queues": sorted(broker.queues),
        "actors": len(broker.actors),
        "versions": {
            "dramatiq-once": version("dramatiq-once"),
            "dramatiq": version("dramatiq"),
            "pika": version("pika"),
            "python": platform.python_version(),
        },
    }


def on_rabbitmq() -> Broker[RabbitmqEngine]:
    """Return the broker, for what only RabbitMQ has.

    Raises:
        SettingsError: a setting is malformed, or names another engine.
    """
    if not isinstance(broker.engine, RabbitmqEngine):
        raise SettingsError(f"this needs RabbitMQ, and ACTORS_BROKER_URL is {broker.engine.where}")
    return cast("Broker[RabbitmqEngine]", broker)


def _engine() -> Engine:
    """Return what the settings say that messages are kept by; this is the process's start, and logs it.

    Raises:
        SettingsError: a setting is malformed, or none says where messages are kept, in a test.
    """
    current = settings()
    is_default = "broker_url" not in current.model_fields_set
    if is_default and _no_default_broker is not None:
        raise SettingsError(_no_default_broker)
    engine = engine_of(current, broker.get_declared_queues)
    log.info("start: %s", " ".join(f"{name}={value}" for name, value in identity().items()))
    if is_default:
        log.warning(
            "ACTORS_BROKER_URL is not set: jobs are kept in %s, which this machine alone can see; "
            "set it to that, or to a RabbitMQ's, and this line is gone",
            engine.where,
        )
    return engine


def middleware() -> list[Middleware]:
    """Return all middleware, in the one order: before-hooks run first to last, after-hooks last to first."""
    idempotency = Idempotency(store=store, defaults=idempotency_defaults, tell=metrics.answered)
    attempt_log = AttemptLog(
        version=app_version, arguments=lambda: settings().log_arguments, redact=redaction, together=together
    )
    heartbeat = Heartbeat(fleet=fleet, identity=identity, version=app_version, fields=attempt_log.fields)
    tracing = Tracing(system=lambda broker: "sqlite" if settings().is_embedded else "rabbitmq")
    interrupts = Interrupts()
    return [
        Boot(settings, require=_require_engine, share=share_metrics),
        Probes(settings, store=store, pages={"/metrics": metrics_page(lambda: counted(metrics.sink))}),
        Attempts([metrics, attempt_log, heartbeat.hear]),
        metrics,
        LogContext(names=lambda: settings().log_context),
        tracing,
        idempotency,
        Aborts(store=store, interrupts=interrupts),
        TickRuns(record=_record_run),
        CurrentMessage(),
        DeadLetter(version=app_version, tell=metrics.died, redact=redaction),
        AgeLimit(),
        Overlap(store=store, guard=idempotency.guard),
        Concurrency(store=store, guard=idempotency.guard),
        Callbacks(),
        Pipelines(),
        GroupCallbacks(store=store),
        Results(backend=RecordedResults(store=store), store_results=True),
        Retries(defaults=retry_defaults),
        AsyncIO(),
        RestoreArguments(),
        heartbeat,
        tracing.starting(),
        # Behind all that sees to the end of an attempt: what is meant for the actor must not interrupt that.
        ShutdownNotifications(),
        TimeLimit(interrupts=interrupts),
        # The hooks of a process's start run last to first: it forks before any of them has started a thread.
        Recycle(limits=recycle_limits, give_back=give_back),
    ]


def share_metrics() -> None:
    """Let all processes of this one's instance count together; where there is none, each counts by itself.

    Called before modules of the application are imported, so that what these count is counted with it.

    Raises:
        SettingsError: a setting is malformed, or ``ACTORS_RUNTIME_DIR`` can't be used.
    """
    current = settings()
    if current.health_address:
        metrics.sink = shared(instance_dir(current.runtime_dir, current.health_address))


def _require_engine(broker: dramatiq.Broker) -> None:
    """Choose the engine of *broker*.

    Raises:
        SettingsError: there is none that may be used.
    """
    if isinstance(broker, Broker):
        _ = broker.engine


def app_version() -> str:
    """Return the version of the application, for dead letters and log lines.

    Raises:
        SettingsError: a setting is malformed.
    """
    return settings().app_version


def redaction() -> Redact | None:
    """Return what has the last word on the fields of a log line; None if nobody has.

    Raises:
        SettingsError: a setting is malformed.
    """
    return redaction_of(settings().log_redact)


def _record_run(broker: dramatiq.Broker, pace: str, record: bytes) -> None:
    if isinstance(broker, Broker):
        broker.record_run(pace, record)


def idempotency_defaults() -> Defaults:
    """Return the idempotency options of actors that do not say otherwise.

    Raises:
        SettingsError: a setting is malformed.
    """
    current = settings()
    return Defaults(ttl_ms=current.idempotency_ttl_ms, lease_ms=current.idempotency_lease_ms)


def retry_defaults() -> RetryDefaults:
    """Return the retry options of actors that do not say otherwise.

    Raises:
        SettingsError: a setting is malformed.
    """
    current = settings()
    return RetryDefaults(
        max_retries=current.max_retries, min_backoff_ms=current.min_backoff_ms, max_backoff_ms=current.max_backoff_ms
    )


def recycle_limits() -> RecycleLimits:
    """Return when a worker process is replaced; never, where a setting is malformed, which ends it anyhow."""
    try:
        current = settings()
    except SettingsError:
        return RecycleLimits()
    return RecycleLimits(after_messages=current.recycle_after_messages, above_mib=current.recycle_above_mib)


broker: Broker[Engine] = Broker(_engine, middleware=middleware())
dramatiq.set_encoder(Encoder())
dramatiq.set_broker(broker)
