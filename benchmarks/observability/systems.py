"""The workers that are compared: each tells more than the one before."""

from dataclasses import replace

import services
from benchmarks.embedded.systems import OURS, System

BARE = "tells nothing"
LOGS = "logs"
ALL = "tells all"

_BARE_WORKER = (*OURS.worker[:2], "benchmarks.embedded.apps.ours", "benchmarks.observability.bare", *OURS.worker[3:])
_JSON = {"ACTORS_LOG_FORMAT": "json", "ACTORS_APP_VERSION": "build 7"}


def systems(address: str, server: services.RabbitMQ, store: services.Redis) -> tuple[System, ...]:
    """Return them, first in a file, then on RabbitMQ and Redis; those that answer probes do so at *address*."""
    rabbitmq = {"ACTORS_BROKER_URL": server.url, "ACTORS_STORE_URL": store.url}
    return tuple(
        replace(OURS, name=f"{place}: {name}", worker=worker, settings=where | settings)
        for place, where in (("file", {}), ("RabbitMQ", rabbitmq))
        for name, worker, settings in (
            (BARE, _BARE_WORKER, {}),
            (LOGS, OURS.worker, _JSON),
            (ALL, OURS.worker, _JSON | {"ACTORS_HEALTH_ADDRESS": address}),
        )
    )
