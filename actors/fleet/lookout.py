"""Looks at all that there is of the application: its workers, its queues, its schedulers. It changes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from dramatiq.errors import BrokerConnectionError

from actors.assembly import broker, fleet, identity, on_rabbitmq, settings, store
from actors.brokers.admin import Admin
from actors.brokers.nodes import mask_password
from actors.brokers.sqlite import SqliteEngine
from actors.brokers.sqlite.looking import has_tables
from actors.checks.file_queues import look_at_file
from actors.checks.queues import look_at_queues, users_of_queues
from actors.configuration import variable
from actors.errors import AccessRefused
from actors.fleet.deployment import (
    Deployment,
    Problem,
    QueueState,
    Worker,
    problems_of_queues,
    problems_of_workers,
    workers_of,
)
from actors.operating import NoLeader, Standing, operator
from actors.operating.operator import NONE_CONNECTED
from middleware.stores import StoreUnavailable
from middleware.stores.sqlite import SqliteStore
from periodic.registry import schedules

T = TypeVar("T")


class Lookout:
    """Looks at the application of this process's settings, as a whole or in part.

    No actors need be loaded: which queues there are is known from the workers that take from them, and from the file.
    Those that are loaded, or named by a route, are looked at, too.

    Args:
        timeout_s: how long RabbitMQ may take for each part, and how long a leader is looked for, in seconds.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s

    def look(self) -> Deployment:
        """Return all that can be had, and what could not."""
        problems: list[Problem] = []
        workers = self.attempt(self.workers, problems)
        queues = self.attempt(lambda: self.queues(workers or ()), problems)
        # One silence is enough to wait for.
        is_silent = queues is None
        delayed = None if is_silent else self.attempt(self.delayed, problems)
        schedulers = None if is_silent else self.attempt(self.schedulers, problems)
        return Deployment(
            time.time_ns() // 1_000_000, workers, queues, delayed, schedulers, [*problems, *self.judge(workers, queues)]
        )

    def judge(self, workers: Sequence[Worker] | None, queues: Sequence[QueueState] | None) -> list[Problem]:
        """Return what is wrong with *workers* and *queues*, errors first."""
        # URLs of one file differ by where a process was started.
        found = problems_of_workers(workers or (), {} if settings().is_embedded else identity())
        found += problems_of_queues(queues or ())
        if workers == [] and not queues and not settings().is_embedded and not broker.actors:
            what = "no worker is heard of and no module is named, so that nobody knows which queues to look at"
            found.append(Problem("error", "queues", what, "name the modules of actors: actors status shop.tasks"))
        return sorted(found, key=lambda each: each.level != "error")

    def attempt(self, part: Callable[[], T], problems: list[Problem]) -> T | None:
        """Return what *part* returns, or None where it can't be had; what is wrong is added to *problems*."""
        try:
            found = part()
        except StoreUnavailable as error:
            where = mask_password(settings().store_url)
            advice = f"without it no worker can be seen; start it, or set {variable('store_url')}"
            problems.append(Problem("error", where, str(error), advice, is_outage=True))
            return None
        except BrokerConnectionError as error:
            where = broker.engine.where
            what = str(error).removeprefix(f"{where}: ")
            way_out = "give its user rights on queues that start with its prefix"
            if not isinstance(error, AccessRefused):
                way_out = f"start it, or set {variable('broker_url')}"
            advice = f"queues and schedulers can't be seen; {way_out}"
            problems.append(Problem("error", where, what, advice, is_outage=True))
            return None
        if isinstance(found, Standing) and found.problem:
            problems.append(Problem("error", "schedulers", found.problem))
        return found

    def workers(self) -> list[Worker]:
        """Return the workers that are kept, by host and process id.

        Raises:
            StoreUnavailable: the store does not answer.
        """
        kept_in = store()
        if isinstance(kept_in, SqliteStore) and not has_tables(kept_in.file.path):
            return []
        return workers_of(fleet().members())

    def queues(self, workers: Sequence[Worker]) -> list[QueueState]:
        """Return the queues that *workers* take from, that loaded actors use, and all others of a file.

        Raises:
            BrokerConnectionError: the broker does not answer in time, or refuses.
        """
        users = self._users(workers)
        if isinstance(broker.engine, SqliteEngine):
            return [
                QueueState(each.name, each.ready, each.in_hand, each.delayed, each.dead, each.consumers)
                for each in look_at_file(broker.engine.options.file, users)
            ]
        options = on_rabbitmq().engine.options
        with Admin(options.nodes, timeout_s=self._timeout_s) as admin:
            found = look_at_queues(admin, options.topology, users)
        return [
            QueueState(each.name, each.ready, _in_hand(each.name, workers), None, each.dead, each.consumers)
            for each in found
        ]

    def delayed(self) -> int | None:
        """Return how many messages wait in RabbitMQ until they are due, of all queues together; None for a file.

        Raises:
            BrokerConnectionError: RabbitMQ does not answer in time, or refuses.
        """
        if isinstance(broker.engine, SqliteEngine):
            return None
        options = on_rabbitmq().engine.options
        with Admin(options.nodes, timeout_s=self._timeout_s) as admin:
            depths = [admin.depth(queue) for queue in options.topology.holds().values()]
        return sum(depth.messages for depth in depths if depth is not None)

    def schedulers(self) -> Standing:
        """Return who leads; without a problem where none does, and there is nothing to lead.

        Raises:
            BrokerConnectionError: what schedulers work with does not answer in time, or refuses.
        """
        engine = broker.engine
        if isinstance(engine, SqliteEngine) and not has_tables(engine.options.file.path):
            return Standing([], 0, None, NONE_CONNECTED if schedules(broker) else "")
        asked = operator(timeout_s=self._timeout_s)
        try:
            standing = asked.standing()
            if standing.problem and not standing.replicas and not standing.silent and not asked.has_schedules():
                return Standing([], 0, standing.watermark, "")
        except NoLeader as error:
            return Standing([], 0, None, str(error))
        return standing

    def _users(self, workers: Sequence[Worker]) -> Mapping[str, Sequence[str]]:
        users = users_of_queues(broker.actors.values(), settings().queue_routes)
        for each in workers:
            for queue in each.report.queues:
                users.setdefault(queue, [])
        return users


def _in_hand(queue: str, workers: Sequence[Worker]) -> int:
    return sum(each.report.in_hand.get(queue, 0) for each in workers if not each.is_silent)
