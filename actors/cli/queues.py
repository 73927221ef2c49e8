"""``actors queues``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from actors.assembly import broker, on_rabbitmq, settings
from actors.brokers.admin import Admin
from actors.checks.queues import LogicalQueue, PhysicalQueue, look_at_queues, users_of_queues
from actors.cli.logs import leave_outages_to_the_error
from actors.cli.modules import load_modules
from actors.cli.options import DEFAULT_TIMEOUT_S, Json, Modules, MoreModules, TimeoutS
from actors.cli.render import print_json, print_table

_HEADINGS = ("queue", "in RabbitMQ", "role", "ready", "consumers", "unused", "actors")


def queues(
    modules: Modules = None,
    more_modules: MoreModules = None,
    timeout_s: TimeoutS = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """List the actors' queues, and which are unused.

    Each queue has one row for its dead letters and for each of its generations that exists in RabbitMQ, with the
    messages that are ready in it and its consumers. It never changes anything.
    """
    leave_outages_to_the_error()
    load_modules(modules, more_modules)
    users = users_of_queues(broker.actors.values(), settings().queue_routes)
    options = on_rabbitmq().engine.options
    with Admin(options.nodes, timeout_s=timeout_s) as admin:
        found = look_at_queues(admin, options.topology, users)
    if as_json:
        print_json({"broker": str(options.nodes), "queues": list(map(_as_json, found))})
    else:
        print_table(_HEADINGS, (row for queue in found for row in _rows(queue)))


def _as_json(queue: LogicalQueue) -> dict[str, Any]:
    return {
        "queue": queue.name,
        "actors": list(queue.actors),
        "ready": queue.ready,
        "consumers": queue.consumers,
        "dead": queue.dead,
        "unused": queue.unused,
        "physical": list(map(_physical_as_json, queue.physical)),
    }


def _physical_as_json(physical: PhysicalQueue) -> dict[str, Any]:
    return {
        "name": physical.queue.name,
        "role": physical.role,
        "exists": physical.depth is not None,
        "ready": physical.ready,
        "consumers": physical.consumers,
        "unused": physical.unused,
    }


def _rows(queue: LogicalQueue) -> Iterator[tuple[str, ...]]:
    for number, physical in enumerate(queue.physical):
        name, actors = (queue.name, ", ".join(queue.actors)) if number == 0 else ("", "")
        counts = (str(physical.ready), str(physical.consumers)) if physical.depth is not None else ("-", "-")
        unused = "unused" if physical.unused else "" if physical.depth is not None else "does not exist yet"
        yield name, physical.queue.name, physical.role, *counts, unused, actors
