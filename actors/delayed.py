"""Delayed messages: look at them, cancel them, run them now.

They wait in RabbitMQ, the soonest due of them in the memory of relays. Each call looks into all hold queues, as deep as
it is told, and asks all relays; it remembers nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from dramatiq.errors import BrokerError

from actors.assembly import on_rabbitmq, store
from actors.brokers.admin import Admin
from actors.brokers.broker import Broker
from actors.brokers.hold import Held
from actors.brokers.inquiry import Action, Delayed, Found
from actors.brokers.publisher import Publication
from actors.brokers.rabbitmq import RabbitmqEngine
from actors.brokers.walk import LIST, PATIENCE_S, Errand, Looked, Walk
from middleware.keys import digest
from middleware.stores import Refused, State, Store, StoreUnavailable

__all__ = ["Dealt", "Delayed", "DelayedMessages", "Found", "Looked", "Page", "delayed_messages"]

log = logging.getLogger(__name__)

# How many messages of each hold queue are looked at unless told otherwise.
DEPTH = 1_000


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the delayed messages.

    Attributes:
        messages: the soonest due first.
        following: what to give as *after* for the next page; empty if there is none.
        looked: how far each hold queue was looked into.
        silent: how many relays did not answer; what they keep is missing.
    """

    messages: Sequence[Delayed]
    following: str
    looked: Sequence[Looked]
    silent: int


@dataclass(frozen=True, slots=True)
class Dealt:
    """What became of messages that were named.

    Attributes:
        found: those that were found, and copies of them, each with its problem if it could not be dealt with.
        missing: the ids that were not found.
        looked: how far each hold queue was looked into.
        silent: how many relays did not answer; what they keep was not looked at.
    """

    found: Sequence[Found]
    missing: Sequence[str]
    looked: Sequence[Looked]
    silent: int


class DelayedMessages:
    """The delayed messages of one environment.

    Args:
        broker: where they are.
        store: called for the store of their keys.
        depth: how many messages of each hold queue are looked at, soonest due first.
        timeout_s: how long RabbitMQ may take for each hold queue, in seconds.

    Raises:
        ConnectionFailed: from every method, when RabbitMQ does not answer in time.
        AccessRefused: from every method, when the user has no right to it.
    """

    def __init__(
        self, broker: Broker[RabbitmqEngine], store: Callable[[], Store], *, depth: int = DEPTH, timeout_s: float = 10.0
    ) -> None:
        self._broker = broker
        self._store = store
        self._depth = depth
        self._timeout_s = timeout_s

    def look(self, *, queue: str | None = None, actor: str | None = None, limit: int = 100, after: str = "") -> Page:
        """Return a page of them, soonest due first; nothing changes.

        Args:
            queue: only those for this logical queue.
            actor: only those for this actor.
            limit: how many to return at most.
            after: where an earlier page said to go on.

        Raises:
            ValueError: *after* is no such place.
        """
        soonest = _Soonest(limit, _place(after))

        def see(found: Found) -> None:
            if queue in (None, found.message.queue) and actor in (None, found.message.actor):
                soonest.add(found.message)

        with self._walk() as walk:
            looked = walk.go(LIST, see)
        return Page(*soonest.page(), looked, walk.silent)

    def cancel(self, ids: Sequence[str], note: Callable[[Found], None] = lambda found: None) -> Dealt:
        """Drop the messages with *ids*; call *note* with each as soon as it is gone."""

        def drop(named: Sequence[Held]) -> list[Found]:
            for held in named:
                held.ack()
            return [Found(Delayed.of(held)) for held in named]

        return self._deal("cancel", ids, drop, note)

    def run_now(self, ids: Sequence[str], note: Callable[[Found], None] = lambda found: None) -> Dealt:
        """Put the messages with *ids* into their work queues; call *note* with each as soon as it is there.

        A process that dies in the middle doubles a message, under the same message id; it loses none.
        """
        with self._walk() as walk:
            walk.go(LIST, lambda found: self._free(found.message) if found.message.message_id in ids else None)
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
        options = self._broker.engine.options
        with Admin(options.nodes, timeout_s=self._timeout_s) as admin:
            yield Walk(admin, options.topology, depth=self._depth, patience_s=min(PATIENCE_S, self._timeout_s / 2))

    def _release(self, named: Sequence[Held]) -> list[Found]:
        """Publish *named* to their work queues, and ack each that is confirmed; return what came of each."""
        problems: dict[Held, str] = {}
        publications: dict[Held, Publication] = {}
        for held in named:
            try:
                queue = self._broker.engine.declarations.work(held.queue, timeout_s=self._timeout_s)
            except BrokerError as error:
                problems[held] = str(error)
            else:
                publications[held] = held.released(queue.name)
        refusals = self._broker.engine.publisher.publish(list(publications.values()), self._timeout_s)
        reasons = {id(refusal.publication): refusal.reason for refusal in refusals}
        for held, publication in publications.items():
            if id(publication) in reasons:
                problems[held] = reasons[id(publication)]
            else:
                held.ack()
        return [Found(Delayed.of(held), problems.get(held)) for held in named]

    def _free(self, message: Delayed) -> None:
        """Free the key of a retry: until that is due, its record lets nothing run."""
        actor = self._broker.actors.get(message.actor or "")
        scope = getattr(getattr(actor, "policy", None), "scope", message.actor or "")
        try:
            store = self._store()
            for name in (store.digest_of(message.message_id), digest(scope, message.message_id)):
                record = store.inspect(name) if name is not None else None
                if record is not None and record.state is State.WAITING and record.owner == message.message_id:
                    store.release(record.digest)
        except (StoreUnavailable, Refused, KeyError) as error:
            log.warning("message %s: if its key waits for a retry, it waits on: %s", message.message_id, error)


def delayed_messages(*, depth: int = DEPTH, timeout_s: float = 10.0) -> DelayedMessages:
    """Return the delayed messages of the application; see :class:`DelayedMessages`."""
    return DelayedMessages(on_rabbitmq(), store, depth=depth, timeout_s=timeout_s)


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
