"""The whole check: settings, modules and actors, and where asked RabbitMQ and Redis."""

from __future__ import annotations

from collections.abc import Sequence

from actors.assembly import broker, identity, settings
from actors.checks.declarations import check_actors, check_routes
from actors.checks.finding import Finding, Report, error
from actors.checks.modules import load_each
from actors.checks.rabbitmq import check_rabbitmq
from actors.checks.settings import check_settings
from actors.errors import SettingsError


def check(modules: Sequence[str], *, connect: bool, timeout_s: float) -> Report:
    """Look at everything, and return what was found; what fails is a finding, never an exception.

    Args:
        modules: modules of actors; those of ``ACTORS_MODULES`` when empty.
        connect: whether to look at RabbitMQ and Redis, too.
        timeout_s: seconds that each of the two may take.
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
        *check_actors(broker.actors),
        *check_routes(current.queue_routes, broker.actors),
    ]
    report = Report(identity(), findings)
    if connect and not report.failed("settings"):
        # Here, so that no other command waits for redis to be imported.
        from actors.checks.redis import check_redis

        findings += check_rabbitmq(timeout_s)
        findings += check_redis(current.store_url, timeout_s)
    return report
