"""Settings become the engine that keeps messages, and the store of what must be remembered of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from actors.brokers.engine import Engine
from actors.brokers.nodes import Nodes, mask_password
from actors.brokers.rabbitmq import RabbitmqEngine, RabbitmqOptions
from actors.brokers.sqlite import LEASE_MS, PREFETCH, SqliteEngine, SqliteOptions
from actors.brokers.sqlite import SCHEMA as QUEUES
from actors.brokers.topology import Topology
from actors.configuration import Settings, variable
from actors.errors import SettingsError
from actors.fleet.memory import MemoryFleet
from actors.fleet.protocol import Fleet
from actors.fleet.sqlite import SCHEMA as PROCESSES
from actors.fleet.sqlite import SqliteFleet
from actors.urls import AMQP_EXAMPLE, DEFAULT_FILE, SQLITE_EXAMPLE, is_file, path_of
from middleware.stores import Store
from middleware.stores.sqlite import SCHEMA as RECORDS
from middleware.stores.sqlite import FileRefused, SqliteFile, SqliteStore
from periodic.sqlite import SCHEMA as SCHEDULES

PRODUCTION = "production"

# The files that are in use, by where they are: broker, store and schedules share one.
_files: dict[Path, SqliteFile] = {}


def engine_of(current: Settings, known: Callable[[], Iterable[str]]) -> Engine:
    """Return what keeps messages.

    Args:
        current: the settings.
        known: called for the logical queues that actors use.

    Raises:
        SettingsError: there can be no such file; or it is production, and nobody has named one.
    """
    if not current.is_embedded:
        return RabbitmqEngine(_rabbitmq_options(current), known)
    if current.env == PRODUCTION and "broker_url" not in current.model_fields_set:
        raise SettingsError(
            f"{variable('env')}={PRODUCTION} and no {variable('broker_url')}: jobs would be in "
            f"{path_of(DEFAULT_FILE)!r}, wherever a process runs; name RabbitMQ ({AMQP_EXAMPLE}), or a file "
            f"({SQLITE_EXAMPLE})"
        )
    if current.queue_prefix:
        raise SettingsError(
            f"{variable('queue_prefix')}: {current.queue_prefix!r}: a file is kept apart from others by its name; "
            "give each environment a file of its own, and unset this"
        )
    return SqliteEngine(_sqlite_options(current))


def store_of(current: Settings) -> Store:
    """Return the store of idempotency records; it opens nothing before its first use.

    Raises:
        SettingsError: ``ACTORS_STORE_URL`` has an option that can't be used.
    """
    if is_file(current.store_url):
        return SqliteStore(file_of(current.store_url))
    # Here, because redis is a third of what a process imports, and one that only enqueues needs none of it.
    from middleware.stores.redis import RedisStore

    try:
        return RedisStore(current.store_url, prefix=current.store_prefix, timeout_s=current.store_timeout_ms / 1000)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"ACTORS_STORE_URL: {mask_password(current.store_url)!r}: {error}") from None


def fleet_of(store: Store) -> Fleet:
    """Return where processes leave what they tell of themselves: beside what is kept in *store*."""
    if isinstance(store, SqliteStore):
        return SqliteFleet(store.file)
    from middleware.stores.redis import RedisStore

    if isinstance(store, RedisStore):
        from actors.fleet.redis import RedisFleet

        return RedisFleet(store)
    return MemoryFleet()


def file_of(url: str) -> SqliteFile:
    """Return the file that *url* names, the same for all who ask in this process; it opens nothing yet.

    Raises:
        SettingsError: it is the name of no file.
    """
    try:
        made = SqliteFile(path_of(url), schema=(*RECORDS, *QUEUES, *SCHEDULES, *PROCESSES))
    except FileRefused as refused:
        raise SettingsError(f"{url!r}: {refused}") from None
    return _files.setdefault(made.path, made)


def _sqlite_options(current: Settings) -> SqliteOptions:
    return SqliteOptions(
        file=file_of(current.broker_url[0]),
        # Its default is RabbitMQ's: there each message costs the server, here each transaction the disk.
        prefetch=current.prefetch if "prefetch" in current.model_fields_set else PREFETCH,
        lease_ms=min(LEASE_MS, current.idempotency_lease_ms),
        max_message_bytes=current.max_message_bytes,
        dead_letter_retention_ms=current.dead_letter_retention_ms,
        # Redis, as most have it, writes once a second.
        records_are_synced=is_file(current.store_url),
    )


def _rabbitmq_options(current: Settings) -> RabbitmqOptions:
    return RabbitmqOptions(
        nodes=Nodes(
            urls=current.broker_url,
            heartbeat_s=current.broker_heartbeat_s,
            ca_file=current.broker_ca_file,
            cert_file=current.broker_cert_file,
            key_file=current.broker_key_file,
        ),
        topology=Topology(
            queue_type=current.queue_type, prefix=current.queue_prefix, max_priority=current.queue_max_priority
        ),
        prefetch=current.prefetch,
        publish_timeout_s=current.publish_timeout_ms / 1000,
        publish_attempts=current.publish_attempts,
        publish_window=current.publish_window,
        max_message_bytes=current.max_message_bytes,
        dead_letter_retention_ms=current.dead_letter_retention_ms,
    )
