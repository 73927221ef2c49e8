"""Puts a delivered message elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from actors.brokers.declarations import Declarations
from actors.brokers.hold import Held
from actors.brokers.publisher import Batch, Publication, Publisher, Refusal
from actors.brokers.session import Session


class Transfer:
    """Publishes messages, and acks each where it came from once that is confirmed.

    A process that dies between the two doubles that message, under the same message id; it loses none.

    Args:
        session: whose thread all callbacks run on.
        publisher: publishes.
        declarations: is told of a queue that is missing.
    """

    def __init__(self, session: Session, publisher: Publisher, declarations: Declarations) -> None:
        self._session = session
        self._publisher = publisher
        self._declarations = declarations
        self._moving: dict[Batch, Held] = {}

    def __iter__(self) -> Iterator[Held]:
        """Iterate over what is published and not yet confirmed."""
        return iter(self._moving.values())

    def start(
        self,
        held: Held,
        publication: Publication,
        *,
        refused: Callable[[Refusal], None],
        done: Callable[[], None] = lambda: None,
    ) -> None:
        """Publish *publication* in the place of *held*.

        Args:
            held: what is acked.
            publication: what is published.
            refused: called if it was not confirmed, and *held* is still ours.
            done: called once *held* is acked.
        """

        def settle(batch: Batch) -> None:
            if self._moving.pop(batch, None) is None or not held.channel.is_open:
                return  # it is delivered again
            if not batch.refusals:
                held.ack()
                done()
                return
            if batch.refusals[0].unroutable:
                self._declarations.forget()
            refused(batch.refusals[0])

        batch = Batch([publication], lambda batch: self._session.call_soon(lambda: settle(batch)))
        self._moving[batch] = held
        self._publisher.submit(batch)

    def abandon(self) -> None:
        """Forget all of it: RabbitMQ delivers it again, and what is not published yet would be one copy too many."""
        for batch in self._moving:
            self._publisher.withdraw(batch)
        self._moving.clear()
