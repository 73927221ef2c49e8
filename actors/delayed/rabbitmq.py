"""The delayed messages in RabbitMQ, the soonest due of them in the memory of relays.

Each call looks into all hold queues, as deep as it is told, and asks all relays; it remembers nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from dramatiq.errors import BrokerError

from actors.brokers.admin import Admin
from actors.brokers.hold import Held
from actors.brokers.inquiry import Action, Delayed, Found
from actors.brokers.publisher import Publication
from actors.brokers.rabbitmq import RabbitmqEngine
from actors.brokers.walk import LIST, PATIENCE_S, Errand, Walk
from actors.delayed.page import Dealt, Page


class RabbitmqWaiting:
    """See :class:`~actors.delayed.waiting.Waiting`.

    Args:
        engine: where they are.
        depth: how many messages of each hold queue are looked at, soonest due first.
        timeout_s: how long RabbitMQ may take for each hold queue, in seconds.
    """

    def __init__(self, engine: RabbitmqEngine, *, depth: int, timeout_s: float) -> None:
        self._engine = engine
        self._depth = depth
        self._timeout_s = timeout_s

    def look(self, *, queue: str | None, actor: str | None, limit: int, after: str) -> Page:
        """Return a page of them, soonest due first; nothing changes."""
        soonest = _Soonest(limit, _place(after))

        def see(found: Found) -> None:
            if queue in (None, found.message.queue) and actor in (None, found.message.actor):
                soonest.add(found.message)

        with self._walk() as walk:
            looked = walk.go(LIST, see)
        return Page(*soonest.page(), looked, walk.silent)

    def find(self, ids: Sequence[str]) -> list[Delayed]:
        """Return the messages with *ids*; nothing changes."""
        named: list[Delayed] = []
        with self._walk() as walk:
            walk.go(LIST, lambda found: named.append(found.message) if found.message.message_id in ids else None)
        return named

    def cancel(self, ids: Sequence[str], note: Callable[[Found], None]) -> Dealt:
        """Drop the messages with *ids*; call *note* with each as soon as it is gone."""

        def drop(named: Sequence[Held]) -> list[Found]:
            for held in named:
                held.ack()
            return [Found(Delayed.of(held)) for held in named]

        return self._deal("cancel", ids, drop, note)

    def run_now(self, ids: Sequence[str], note: Callable[[Found], None]) -> Dealt:
        """Put the messages with *ids* into their work queues; call *note* with each as soon as it is there.

        A process that dies in the middle doubles a message, under the same message id; it loses none.
        """
        return self._deal("run-now", ids, self._release, note)

    def _deal(
        self,
        action: Action,
        ids: Sequence[str],
        act: Callable[[Sequence[Held]], list[Found]],
        note: Callable[[Found], None],
    ) -> Dealt:
        found: list[Found] = []
        missing = list(dict.fromkeys(ids))

        def see(each: Found) -> None:
            found.append(each)
            note(each)

        with self._walk() as walk:
            looked = walk.go(Errand(action, frozenset(missing), act), see)
            # One that was on its way from one queue to another is in its place by now.
            if missing := _left(missing, found):
                looked = walk.go(Errand(action, frozenset(missing), act), see)
        return Dealt(found, _left(missing, found), looked, walk.silent)

    @contextmanager
    def _walk(self) -> Iterator[Walk]:
        options = self._engine.options
        with Admin(options.nodes, timeout_s=self._timeout_s) as admin:
            yield Walk(admin, options.topology, depth=self._depth, patience_s=min(PATIENCE_S, self._timeout_s / 2))

    def _release(self, named: Sequence[Held]) -> list[Found]:
        """Publish *named* to their work queues, and ack each that is confirmed; return what came of each."""
        problems: dict[Held, str] = {}
        publications: dict[Held, Publication] = {}
        for held in named:
            try:
                queue = self._engine.declarations.work(held.queue, timeout_s=self._timeout_s)
            except BrokerError as error:
                problems[held] = str(error)
            else:
                publications[held] = held.released(queue.name)
        refusals = self._engine.publisher.publish(list(publications.values()), self._timeout_s)
        reasons = {id(refusal.publication): refusal.reason for refusal in refusals}
        for held, publication in publications.items():
            if id(publication) in reasons:
                problems[held] = reasons[id(publication)]
            else:
                held.ack()
        return [Found(Delayed.of(held), problems.get(held)) for held in named]


class _Soonest:
    """Collects the soonest due messages after a place, each once, and no more than it needs."""

    def __init__(self, limit: int, after: tuple[int, str]) -> None:
        self._limit = limit
        self._after = after
        self._found: dict[tuple[int, str], Delayed] = {}

    def add(self, message: Delayed) -> None:
        place = (message.due, message.message_id)
        if place > self._after:
            self._found[place] = message
        if len(self._found) > 2 * self._limit + 1:
            self._found = dict(self._sorted()[: self._limit + 1])

    def page(self) -> tuple[list[Delayed], str]:
        """Return the messages, and the place of the last one if there are more."""
        found = self._sorted()
        page = found[: self._limit]
        following = f"{page[-1][0][0]}:{page[-1][0][1]}" if len(found) > len(page) else ""
        return [message for _, message in page], following

    def _sorted(self) -> list[tuple[tuple[int, str], Delayed]]:
        return sorted(self._found.items(), key=lambda item: item[0])


def _place(text: str) -> tuple[int, str]:
    if not text:
        return (-(2**63), "")
    due, _, message_id = text.partition(":")
    return (int(due), message_id)


def _left(ids: Sequence[str], found: Sequence[Found]) -> list[str]:
    met = {each.message.message_id for each in found}
    return [each for each in ids if each not in met]
