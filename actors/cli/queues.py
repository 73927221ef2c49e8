"""``actors queues``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from actors.assembly import broker, on_rabbitmq, settings
from actors.brokers.admin import Admin
from actors.brokers.sqlite import SqliteEngine
from actors.checks.file_queues import FileQueue, look_at_file
from actors.checks.queues import LogicalQueue, PhysicalQueue, look_at_queues, users_of_queues
from actors.cli.logs import leave_outages_to_the_error
from actors.cli.modules import load_modules
from actors.cli.options import DEFAULT_TIMEOUT_S, Json, Modules, MoreModules, TimeoutS
from actors.cli.render import print_json, print_table

_HEADINGS = ("queue", "in RabbitMQ", "role", "ready", "consumers", "unused", "actors")
_FILE_HEADINGS = ("queue", "ready", "delayed", "in hand", "dead", "consumers", "unused", "actors")


def queues(
    modules: Modules = None,
    more_modules: MoreModules = None,
    timeout_s: TimeoutS = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """List the actors' queues, and which are unused.

    In RabbitMQ each queue has one row for its dead letters and for each of its generations that exists, with the
    messages that are ready in it and its consumers. In a file it has one row. It never changes anything.
    """
    leave_outages_to_the_error()
    load_modules(modules, more_modules)
    users = users_of_queues(broker.actors.values(), settings().queue_routes)
    if isinstance(broker.engine, SqliteEngine):
        _print_file(broker.engine, users, as_json=as_json)
    else:
        _print_rabbitmq(users, timeout_s, as_json=as_json)


def _print_file(engine: SqliteEngine, users: Mapping[str, Sequence[str]], *, as_json: bool) -> None:
    found = look_at_file(engine.options.file, users)
    if as_json:
        print_json({"broker": engine.where, "queues": list(map(_file_as_json, found))})
    else:
        print_table(_FILE_HEADINGS, map(_file_row, found))


def _print_rabbitmq(users: Mapping[str, Sequence[str]], timeout_s: float, *, as_json: bool) -> None:
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


def _file_as_json(queue: FileQueue) -> dict[str, Any]:
    return {
        "queue": queue.name,
        "actors": list(queue.actors),
        "ready": queue.ready,
        "delayed": queue.delayed,
        "in_hand": queue.in_hand,
        "consumers": queue.consumers,
        "dead": queue.dead,
        "unused": queue.unused,
        "physical": [],
    }


def _file_row(queue: FileQueue) -> tuple[str, ...]:
    counts = (queue.ready, queue.delayed, queue.in_hand, queue.dead, queue.consumers)
    unused = "unused" if queue.unused else ""
    return queue.name, *map(str, counts), unused, ", ".join(queue.actors)
