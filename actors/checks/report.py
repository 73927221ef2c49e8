"""The whole check: settings, modules and actors, and where asked the servers, or the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from actors.assembly import broker, identity, settings
from actors.brokers.sqlite import SqliteEngine
from actors.checks.declarations import check_actors, check_routes
from actors.checks.file import check_file
from actors.checks.finding import Finding, Report, error
from actors.checks.modules import load_each
from actors.checks.place import check_place
from actors.checks.rabbitmq import check_rabbitmq
from actors.checks.settings import check_settings
from actors.checks.workers import check_workers
from actors.configuration import Settings
from actors.engines import file_of
from actors.errors import SettingsError
from actors.urls import is_file


def check(modules: Sequence[str], *, connect: bool, timeout_s: float) -> Report:
    """Look at everything, and return what was found; what fails is a finding, never an exception.

    Args:
        modules: modules of actors; those of ``ACTORS_MODULES`` when empty.
        connect: whether to look at RabbitMQ and Redis, or at the file, too.
        timeout_s: seconds that each of them may take.
    """
    try:
        environment = settings()
    except SettingsError as problem:
        advice = "mend it; actors --help names every setting"
        return Report(None, [error("settings", "environment", str(problem), advice)])
    loaded = list(load_each(modules or environment.modules))
    # A module may have called configure().
    current = settings()
    findings: list[Finding] = [
        *check_settings(current, environment),
        *loaded,
        *check_actors(broker.actors, on_rabbitmq=not current.is_embedded),
        *check_routes(current.queue_routes, broker.actors),
    ]
    report = Report(identity(), findings)
    if connect and not report.failed("settings"):
        findings += _connected(current, timeout_s)
    return report


def _connected(current: Settings, timeout_s: float) -> Iterator[Finding]:
    engine = broker.engine
    if isinstance(engine, SqliteEngine):
        yield from check_file(engine, timeout_s)
    else:
        yield from check_rabbitmq(timeout_s)
    if not is_file(current.store_url):
        # Here, so that no other command waits for redis to be imported.
        from actors.checks.redis import check_redis

        yield from check_redis(current.store_url, timeout_s)
    elif current.store_url not in current.broker_url:
        yield from check_place(file_of(current.store_url).path, timeout_s)
    yield from check_workers()
