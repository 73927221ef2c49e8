"""The file: usable, with room around it, and somebody who takes what is in it."""

from __future__ import annotations

from collections.abc import Iterator

from dramatiq.errors import BrokerConnectionError

from actors.assembly import broker, settings
from actors.brokers.sqlite import SqliteEngine
from actors.checks.consumers import check_consumers, check_dead
from actors.checks.dead_letters import check_expiry
from actors.checks.file_queues import FileQueue, look_at_file
from actors.checks.finding import Finding, count, error, warning
from actors.checks.place import check_place
from actors.checks.queues import users_of_queues
from actors.checks.scheduled import by_queue, roster_of_file
from actors.dead_letters.sqlite import SqliteGraves


def check_file(engine: SqliteEngine, timeout_s: float) -> Iterator[Finding]:
    """Look at the file of *engine*, and at the queues in it; another process may have it locked for *timeout_s* s."""
    path = engine.options.file.path
    found = list(check_place(path, timeout_s))
    yield from found
    if any(finding.status == "error" for finding in found):
        return
    try:
        yield from _queues(engine)
    except BrokerConnectionError as problem:
        what, _, advice = str(problem).removeprefix(f"{path}: ").partition("; ")
        yield error("file", str(path), what, advice)


def _queues(engine: SqliteEngine) -> Iterator[Finding]:
    file = engine.options.file
    users = users_of_queues(broker.actors.values(), settings().queue_routes)
    scheduled = by_queue(roster_of_file(file))
    for name, schedules in scheduled.items():
        users[name] = sorted({*users.get(name, ()), *(each.actor for each in schedules)})
    queues = look_at_file(file, users)
    for queue in queues:
        yield from _queue(queue, tuple(each.name for each in scheduled.get(queue.name, ())))
    yield from check_expiry(SqliteGraves(engine, [queue.name for queue in queues]).stock())


def _queue(queue: FileQueue, schedules: tuple[str, ...]) -> Iterator[Finding]:
    if queue.actors:
        yield check_consumers(
            queue.name, consumers=queue.consumers, waiting=_waiting(queue), schedules=schedules, place="its file"
        )
    elif queue.messages and not queue.consumers:
        what = f"{count(queue.messages, 'message')} left, which no loaded actor takes any more"
        advice = f"let an actor use it until it is empty: dramatiq -Q {queue.name}"
        yield warning("queues", queue.name, what, advice)
    if queue.dead:
        yield check_dead(queue.name, queue.dead)


def _waiting(queue: FileQueue) -> str:
    ready = f"{count(queue.ready, 'message')} ready" if queue.ready or queue.consumers else ""
    delayed = f"{queue.delayed} delayed" if queue.delayed else ""
    return ", ".join(filter(None, (ready, delayed)))
