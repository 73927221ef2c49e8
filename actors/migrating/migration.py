"""A whole migration, in the order that loses nothing and doubles nothing.

First the records of keys, so that no copy of a message runs where its key is not known; then the schedules' state; then
messages, the dead ones first, and those that may run at once last. Each step can be repeated, and whoever comes after
one that was killed goes on where that was.

What a SIGKILL can double: nothing, as long as nobody takes messages from the queues that they come to. Where somebody
does, up to one batch of 500 of them may be published twice, with the same message ids, by which an idempotent actor
runs them once. A crash of RabbitMQ itself may do the same to what it has not confirmed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from actors.brokers.admin import Admin
from actors.brokers.rabbitmq import RabbitmqEngine
from actors.brokers.sqlite import dead_letters
from actors.migrating.counts import Counts, counts_of
from actors.migrating.courier import Courier
from actors.migrating.errors import MigrationRefused
from actors.migrating.file import alone
from actors.migrating.marker import begin, find, keep, shut_out
from actors.migrating.moving import Moving
from actors.migrating.parcels import sources
from actors.migrating.records import Groups, move_aliases, move_records
from actors.migrating.schedules import State, move_state, require_none
from actors.migrating.users import users_of
from actors.operating.rabbitmq import rabbitmq_view
from middleware.letter import now_ms
from middleware.stores import Store
from middleware.stores.sqlite import SqliteFile
from periodic.sqlite import SqliteSchedulers


@dataclass(frozen=True, slots=True)
class Destination:
    """Where everything goes.

    Attributes:
        engine: publishes to RabbitMQ.
        store: of the records of keys.
        store_name: what people call it, without passwords.
        force: whether watermark and roster that are there are replaced.
        timeout_s: how long RabbitMQ may take for each answer, in seconds.
    """

    engine: RabbitmqEngine
    store: Store
    store_name: str
    force: bool = False
    timeout_s: float = 10.0

    @property
    def name(self) -> str:
        """What people call all of it; another name is another destination."""
        topology = self.engine.options.topology
        prefix = f", queue prefix {topology.prefix!r}" if topology.prefix else ""
        return f"{self.engine.where} ({topology.queue_type} queues{prefix}) and {self.store_name}"


@dataclass(frozen=True, slots=True)
class Report:
    """How far a run of a migration came.

    Attributes:
        moved: how many of each kind this run has moved.
        came: how many messages came to the file meanwhile, and were moved, too.
        doubted: how many messages may have been published twice, with the same message ids.
        is_over: whether everything is there.
    """

    moved: Mapping[str, int]
    came: int = 0
    doubted: int = 0
    is_over: bool = True


class Migration:
    """Moves what is in a file.

    Args:
        file: opened by :func:`~actors.migrating.file.file_to_move`.
        moved: called with a kind and a number, once so many more of it are moved.
        go_on: asked before each batch; what is moved by then stays so.

    Raises:
        FileUnavailable, FileRefused: from every method, when the file can't be used.
    """

    def __init__(
        self, file: SqliteFile, *, moved: Callable[[str, int], object], go_on: Callable[[], bool] = lambda: True
    ) -> None:
        self._file = file
        self._told = moved
        self._go_on = go_on
        self._counter: Counter[str] = Counter()

    def look(self) -> tuple[Counts, list[str]]:
        """Return how much there is to move, and who uses the file."""
        roster, _ = self._state()
        with self._file.read() as connection:
            marker, now = find(connection), now_ms()
            after = marker.records if marker is not None else 0
            schedules = 0 if roster is None or (marker is not None and marker.has_schedules) else len(roster.entries)
            counts = counts_of(connection, now=now, records_after=after, schedules=schedules)
            return counts, [] if marker is not None else users_of(self._file, connection, now=now)

    def run(self, to: Destination) -> Report:
        """Move everything, or what an earlier run has left.

        Raises:
            InUse, MigrationRefused: it can't be as things stand.
            ConnectionFailed, QueueMismatch, AccessRefused: of RabbitMQ.
            StoreUnavailable: the store does not answer.
        """
        with alone(self._file):
            return self._run(to)

    def _run(self, to: Destination) -> Report:
        counts, _ = self.look()
        self._require(to, counts)
        marker = begin(self._file, to.name)
        if marker.is_over:
            return Report({})
        groups = Groups(self._file, to.store)
        if not self._records(to.store, groups):
            return self._report(counts, 0, is_over=False)
        self._schedules(to, has_schedules=marker.has_schedules)
        self._expire()
        nodes, topology = to.engine.options.nodes, to.engine.options.topology
        with Admin(nodes, timeout_s=to.timeout_s) as admin, Courier(admin, topology, marker.name) as courier:
            # The groups of what is published: where it runs at once, they are there by then.
            moving = Moving(self._file, admin, courier, before=groups.move, moved=self._moved, go_on=self._go_on)
            moving.settle()
            is_over = self._messages(to.engine, moving)
            if is_over:
                with self._file.write() as connection:
                    shut_out(connection)
                is_over = self._messages(to.engine, moving)
            if is_over:
                groups.move()
                self._end()
            if is_over:
                courier.forget()
        self._counter["groups"] = groups.count
        return self._report(counts, moving.doubted, is_over=is_over)

    def _require(self, to: Destination, counts: Counts) -> None:
        """Find out what could refuse later, before anything is moved."""
        with self._file.read() as connection:
            marker = find(connection)
            users = [] if marker is not None else users_of(self._file, connection, now=now_ms())
        if users or (marker is not None and marker.is_over):
            return  # as begin() finds, too
        to.store.now()
        for queue, each in counts.queues.items():
            if each["dead"]:
                to.engine.declarations.dead(queue)
            if each["queued"] or each["delayed"]:
                to.engine.declarations.work(queue)
        if not to.force and not (marker is not None and marker.has_schedules):
            ours = self._state()
            if ours != (None, None):
                with rabbitmq_view(to.engine, timeout_s=to.timeout_s) as view:
                    require_none(ours, _read(view.kept, to.engine.where), to.engine.where)

    def _records(self, store: Store, groups: Groups) -> bool:
        if not move_records(self._file, store, self._moved, self._go_on):
            return False
        self._counter["aliases"] = move_aliases(self._file, store)
        groups.move()
        return True

    def _schedules(self, to: Destination, *, has_schedules: bool) -> None:
        if has_schedules:
            return
        roster, watermark = self._state()
        move_state(to.engine, (roster, watermark), force=to.force, timeout_s=to.timeout_s)
        with self._file.write() as connection:
            keep(connection, has_schedules=1)
        self._counter["schedules"] = len(roster.entries) if roster is not None else 0

    def _messages(self, engine: RabbitmqEngine, moving: Moving) -> bool:
        return all(moving.run(source) for source in sources(engine))

    def _end(self) -> None:
        """Note that everything is there."""
        self._expire()
        with self._file.write() as connection:
            left = counts_of(connection, now=now_ms()).messages
            keep(connection, is_over=int(not left))
        if left:
            raise MigrationRefused(
                f"{self._file.path}: {left} messages are left that can't be taken; please report this"
            )

    def _expire(self) -> None:
        now = now_ms()
        while True:
            with self._file.write() as connection:
                if not dead_letters.has_expired(connection, now=now):
                    return
                dead_letters.expire(connection, now=now)

    def _state(self) -> State:
        return _read(SqliteSchedulers(self._file).kept, str(self._file.path))

    def _moved(self, kind: str, count: int) -> None:
        self._counter[kind] += count
        self._told(kind, count)

    def _report(self, counts: Counts, doubted: int, *, is_over: bool) -> Report:
        messages = sum(self._counter[kind] for kind in ("dead", "delayed", "queued"))
        return Report(dict(self._counter), max(0, messages - counts.messages), doubted, is_over)


def _read(kept: Callable[[], State], where: str) -> State:
    try:
        return kept()
    except ValueError as error:
        raise MigrationRefused(f"{where}: what is kept for schedulers can't be read: {error}") from None
