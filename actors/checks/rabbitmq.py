"""RabbitMQ: reachable, new enough, with our queues, and somebody at the other end of them."""

from __future__ import annotations

from collections.abc import Iterator

from dramatiq.errors import BrokerConnectionError

from actors.assembly import broker, on_rabbitmq, settings
from actors.brokers.admin import WAY_OUT, Admin
from actors.checks.consumers import check_consumers, check_dead
from actors.checks.dead_letters import check_expiry
from actors.checks.delays import check_delays
from actors.checks.finding import Finding, count, error, ok, warning
from actors.checks.mismatch import find_mismatch
from actors.checks.queues import LogicalQueue, PhysicalQueue, look_at_queues, users_of_queues
from actors.checks.scheduled import by_queue, roster_of_rabbitmq
from actors.checks.versions import is_older
from actors.configuration import variable
from actors.dead_letters.rabbitmq import RabbitmqGraves
from actors.errors import AccessRefused

OLDEST = (3, 10)


def check_rabbitmq(timeout_s: float) -> Iterator[Finding]:
    """Look at RabbitMQ and at the queues of all loaded actors; all of it may take *timeout_s* seconds."""
    engine = on_rabbitmq().engine
    options = engine.options
    where, topology = str(options.nodes), options.topology
    users = users_of_queues(broker.actors.values(), settings().queue_routes)
    try:
        with Admin(options.nodes, timeout_s=timeout_s) as admin:
            yield ok("rabbitmq", where, "reachable")
            yield _version(where, admin.server_version)
            scheduled = by_queue(roster_of_rabbitmq(admin, topology))
            for name, schedules in scheduled.items():
                users[name] = sorted({*users.get(name, ()), *(each.actor for each in schedules)})
            for queue in look_at_queues(admin, topology, users):
                yield from _queue(admin, queue, tuple(each.name for each in scheduled.get(queue.name, ())))
            yield from check_delays(admin, topology)
        yield from check_expiry(RabbitmqGraves(engine, users, timeout_s=timeout_s).stock())
    except AccessRefused as refused:
        advice = f"give the user of {variable('broker_url')} rights on the queues that start with its prefix"
        yield error("rabbitmq", where, str(refused).removeprefix(f"{where}: "), advice)
    except BrokerConnectionError as problem:
        what = f"unreachable: {str(problem).removeprefix(f'{where}: ')}"
        yield error("rabbitmq", where, what, f"start it, or set {variable('broker_url')}")


def _version(where: str, version: str) -> Finding:
    if is_older(version, OLDEST):
        return error("rabbitmq-version", where, f"RabbitMQ {version} is too old", "upgrade to 3.10 or newer")
    return ok("rabbitmq-version", where, f"RabbitMQ {version}")


def _queue(admin: Admin, queue: LogicalQueue, schedules: tuple[str, ...]) -> Iterator[Finding]:
    for each in queue.physical:
        if each.role in ("work", "dead"):
            yield _arguments(admin, queue.name, each)
    if queue.actors:
        yield check_consumers(
            queue.name,
            consumers=queue.consumers,
            waiting=f"{count(queue.ready, 'message')} ready" if queue.ready or queue.consumers else "",
            schedules=schedules,
            place="the broker and the queue_prefix it uses",
        )
    yield from _left_over(queue)
    if queue.dead:
        yield check_dead(queue.name, queue.dead)


def _arguments(admin: Admin, queue: str, physical: PhysicalQueue) -> Finding:
    name = physical.queue.name
    if physical.depth is None:
        return ok("queues", queue, f"{name!r} does not exist yet; the first worker or the first send makes it")
    if mismatch := find_mismatch(admin, physical.queue):
        return error("queues", queue, mismatch, WAY_OUT)
    return ok("queues", queue, f"{name!r} exists as we declare it")


def _left_over(queue: LogicalQueue) -> Iterator[Finding]:
    """Say which queues hold messages that no worker will take."""
    for each in queue.physical:
        if not each.ready or each.consumers:
            continue
        messages, name = count(each.ready, "message"), each.queue.name
        if each.role == "plain-delay":
            what = f"{messages} that plain Dramatiq delayed in {name!r}, which nothing reads"
            yield warning("generations", queue.name, what, "let a worker of plain Dramatiq drain it")
        elif each.role == "earlier":
            what = f"{messages} left in {name!r}, an earlier generation"
            yield warning("generations", queue.name, what, "start a worker: it takes them, too")
        elif each.role == "work" and not queue.actors:
            what = f"{messages} left in {name!r}, which no loaded actor uses any more"
            yield warning(
                "generations", queue.name, what, f"let an actor use it until it is empty: dramatiq -Q {queue.name}"
            )
