"""The dead letters in RabbitMQ, of the present queue type and of the other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from actors.brokers.buried import Buried
from actors.brokers.dead_queues import DeadQueue, DeadQueues
from actors.brokers.looked import Looked
from actors.brokers.rabbitmq import RabbitmqEngine
from actors.dead_letters.objections import Examiner
from actors.dead_letters.pages import Page
from actors.dead_letters.rabbitmq.pages import page_of
from actors.dead_letters.rabbitmq.replay import Replay
from actors.dead_letters.rabbitmq.restoring import RabbitmqGround
from actors.dead_letters.selection import ALL, Dead, Selection
from actors.dead_letters.stock import HEADS, Stock, stock_of
from actors.dead_letters.terms import Replayed, Terms
from middleware import Letter

# How many are taken at first where some are acked.
FIRST = 1_000
# How often a discard looks for letters that came back.
PASSES = 3


class RabbitmqGraves:
    """See :class:`~actors.dead_letters.graves.Graves`.

    Each call looks through the queues themselves, from their heads, and remembers nothing.

    Args:
        engine: where they are.
        queues: the logical queues to look into where a selection names none.
        timeout_s: how long RabbitMQ may take for each answer, in seconds.
    """

    def __init__(self, engine: RabbitmqEngine, queues: Collection[str], *, timeout_s: float) -> None:
        self._engine = engine
        self._known = queues
        self._timeout_s = timeout_s

    def page(self, selection: Selection, *, limit: int, after: str, depth: int | None) -> Page:
        """Return a page of them, queue by queue, the oldest first; nothing changes."""
        with self._queues(selection) as queues:
            return page_of(queues, selection, limit, after, depth)

    def look(self, selection: Selection, see: Callable[[Dead], object], *, depth: int | None = None) -> list[Looked]:
        """Call *see* with each that is meant; nothing changes."""
        with self._queues(selection) as queues:
            return queues.look(
                lambda buried: see(Dead.of(buried)) if selection.matches(buried.letter) else None, depth=depth
            )

    def exhume(self, selection: Selection, see: Callable[[Buried], object]) -> list[Looked]:
        """Call *see* with each that is meant, whole; nothing changes."""
        with self._queues(selection) as queues:
            return queues.look(lambda buried: see(buried) if selection.matches(buried.letter) else None)

    def stock(self) -> list[Stock]:
        """Return how many there are in each logical queue that has queues of dead letters; nothing changes."""
        heads: dict[str, list[Buried]] = {}
        counts: dict[str, int] = {}
        with self._queues(ALL) as queues:
            for queue in queues.existing():
                found = heads.setdefault(queue.queue, [])
                counts[queue.queue] = counts.get(queue.queue, 0) + queue.count
                queues.look_into(queue, found.append, first=HEADS, depth=HEADS)
        return [stock_of(name, count, [Dead.of(each) for each in heads[name]]) for name, count in counts.items()]

    def replay(self, selection: Selection, examiner: Examiner, terms: Terms) -> Replayed:
        """Publish what is meant of all that is there now, and ack it; return how far that came.

        A process that dies in the middle doubles some messages, under the same id and number of the replay, of which
        one runs; it loses none.
        """
        with self._queues(selection) as queues:
            publisher = self._engine.publisher
            return Replay(publisher, queues, selection, examiner, terms, timeout_s=self._timeout_s).run()

    def discard(self, selection: Selection, note: Callable[[Dead], object], go_on: Callable[[], bool]) -> int:
        """Ack what is meant of all that is there now; return how many those were."""
        gone: set[str] = set()
        count = 0

        def drop(dead: Dead) -> None:
            nonlocal count
            count += 1
            gone.add(dead.letter.id)
            note(dead)

        with self._queues(selection) as queues:
            for queue in queues.existing():
                dropped = _drop(queues, queue, selection.matches, drop, go_on)
                # An ack to a quorum queue can be lost with the channel that it was sent on: the letter is there again.
                passes = PASSES if queue.physical.is_quorum else 0
                while dropped and passes and go_on():
                    dropped = _drop(queues, queue, lambda letter: letter.id in gone, lambda dead: None, go_on)
                    passes -= 1
        return count

    def ground(self, queues: Collection[str], *, fresh: bool) -> RabbitmqGround:
        """Return where letters are put back; all that are there already are looked at before."""
        present: set[str] = set()
        with self._queues(Selection(queues={*self._known, *queues})) as known:
            known.look(lambda buried: present.add(buried.letter.id))
        return RabbitmqGround(self._engine, present, fresh=fresh, timeout_s=self._timeout_s)

    @contextmanager
    def _queues(self, selection: Selection) -> Iterator[DeadQueues]:
        options = self._engine.options
        names = selection.queues or self._known
        with DeadQueues(options.nodes, options.topology, names, timeout_s=self._timeout_s) as queues:
            yield queues


def _drop(
    queues: DeadQueues,
    queue: DeadQueue,
    wanted: Callable[[Letter], bool],
    note: Callable[[Dead], object],
    go_on: Callable[[], bool],
) -> int:
    """Drop what is *wanted* of *queue*, and return how many those were; call *note* with each once it is gone."""
    # Of what is acked while RabbitMQ is asked it is known only at its next answer.
    before: list[Dead] = []
    sent: list[Dead] = []
    count = 0

    def see(buried: Buried) -> None:
        if wanted(buried.letter) and go_on():
            buried.ack()
            sent.append(Dead.of(buried))

    with queues.taking(queue, see) as taking:
        for _ in taking.sweep(FIRST):
            for dead in before:
                note(dead)
            count += len(before)
            before[:], sent[:] = sent, []
            if not go_on():
                break
        taking.settle()
        for dead in (*before, *sent):
            note(dead)
    return count + len(before) + len(sent)
