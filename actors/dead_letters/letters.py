"""The dead letters of an environment, and what can be done with them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from actors.brokers.broker import Broker
from actors.brokers.buried import Buried
from actors.brokers.dead_queues import DeadQueue, DeadQueues, Looked
from actors.brokers.rabbitmq import RabbitmqEngine
from actors.dead_letters.groups import Grouping, Groups
from actors.dead_letters.objections import Examiner, Objection
from actors.dead_letters.pages import Page, page_of
from actors.dead_letters.replay import Replay, Replayed, Terms
from actors.dead_letters.restoring import ImportTerms, Restored, Restoring
from actors.dead_letters.selection import ALL, Dead, Selection
from actors.dead_letters.stock import Stock, stock_of
from middleware import Letter

# How many are taken at first where some are acked.
FIRST = 1_000
# How often a discard looks for letters that came back.
PASSES = 3
# How many examples of each objection a preview has.
EXAMPLES = 10


@dataclass(frozen=True, slots=True)
class Preview:
    """What a replay would do now.

    Attributes:
        at: when it was made, in milliseconds since the Unix epoch.
        groups: of all letters that are meant.
        ready: how many of them would be sent again.
        objections: how many would be kept, by the kind of objection.
        examples: the first of each kind, with why.
    """

    at: int
    groups: Groups
    ready: int
    objections: Counter[str]
    examples: Sequence[tuple[Dead, Objection]]


class DeadLetters:
    """The dead letters of one environment, of the present queue type and of the other.

    Each call looks through the queues themselves, from their heads, and remembers nothing.

    Args:
        broker: where they are.
        queues: the logical queues to look into where a selection names none.
        timeout_s: how long RabbitMQ may take for each answer, in seconds.

    Raises:
        ConnectionFailed: from every method, when RabbitMQ does not answer in time.
        AccessRefused: from every method, when the user has no right to it.
    """

    def __init__(self, broker: Broker[RabbitmqEngine], queues: Collection[str], *, timeout_s: float = 10.0) -> None:
        self._broker = broker
        self._known = queues
        self._timeout_s = timeout_s

    def look(self, selection: Selection = ALL, *, limit: int = 100, after: str = "", depth: int | None = None) -> Page:
        """Return a page of them, queue by queue, the oldest first; nothing changes.

        Args:
            selection: which are meant.
            limit: how many to return at most.
            after: where an earlier page said to go on.
            depth: how many of each queue to look at, at most; None for as many as it takes.

        Raises:
            ValueError: *after* is no such place.
        """
        with self._queues(selection) as queues:
            return page_of(queues, selection, limit, after, depth)

    def groups(self, selection: Selection = ALL, *, depth: int | None = None) -> Groups:
        """Return how many died of which error; nothing changes."""
        grouping = Grouping(selection)
        with self._queues(selection) as queues:
            return grouping.groups(queues.look(grouping.see, depth=depth))

    def find(self, name: str, *, queues: Collection[str] = ()) -> list[Buried]:
        """Return the letters with the id *name*, or of the message with it, whole; nothing changes."""
        selection = Selection(queues=queues, ids=[name])
        found: list[Buried] = []
        with self._queues(selection) as all_queues:
            all_queues.look(lambda buried: found.append(buried) if selection.matches(buried.letter) else None)
        return found

    def stock(self) -> list[Stock]:
        """Return how many there are in each logical queue, since when, and until when; nothing changes."""
        with self._queues(ALL) as queues:
            return stock_of(queues)

    def preview(self, selection: Selection, *, force: bool = False) -> Preview:
        """Return what a replay would do; nothing changes."""
        at = time.time_ns() // 1_000_000
        grouping, examiner = Grouping(selection), self._examiner(force=force)
        objections: Counter[str] = Counter()
        examples: list[tuple[Dead, Objection]] = []

        def see(buried: Buried) -> None:
            if grouping.see(buried) and isinstance(objection := examiner.examine(buried), Objection):
                objections[objection.kind] += 1
                if objections[objection.kind] <= EXAMPLES:
                    examples.append((Dead.of(buried), objection))

        with self._queues(selection) as queues:
            groups = grouping.groups(queues.look(see))
        return Preview(at, groups, groups.count - objections.total(), objections, examples)

    def replay(self, selection: Selection, terms: Terms | None = None) -> Replayed:
        """Send again what is meant of all that is there now; return how far that came.

        A process that dies in the middle doubles some messages, under the same id and number of the replay, of which
        one runs; it loses none. The store of idempotency keys is not needed.
        """
        terms = terms or Terms()
        with self._queues(selection) as queues:
            examiner = self._examiner(force=terms.force)
            publisher = self._broker.engine.publisher
            return Replay(publisher, queues, selection, examiner, terms, timeout_s=self._timeout_s).run()

    def discard(
        self,
        selection: Selection,
        note: Callable[[Dead], object] = lambda dead: None,
        go_on: Callable[[], bool] = lambda: True,
    ) -> int:
        """Drop what is meant of all that is there now; return how many those were.

        Args:
            selection: which are meant.
            note: called with each once it is gone.
            go_on: asked again and again whether to go on.
        """
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

    def export(self, selection: Selection, write: Callable[[Buried], object]) -> list[Looked]:
        """Call *write* with each that is meant, whole; nothing changes. Return how far each queue was looked into."""
        with self._queues(selection) as queues:
            return queues.look(lambda buried: write(buried) if selection.matches(buried.letter) else None)

    def restore(
        self, lines: Iterable[str | bytes], terms: ImportTerms | None = None, *, queues: Collection[str] = ()
    ) -> Restored:
        """Put the letters of an archive back, each into the queue that it names, unless it is there already.

        Args:
            lines: of the archive; they are read as they are needed.
            terms: how it is done.
            queues: where to look for letters that are there already, besides the known queues.

        Raises:
            ConnectionFailed: some letters were not confirmed in time; the same call may be made again.
        """
        restoring = Restoring(self._broker, terms or ImportTerms(), timeout_s=self._timeout_s)
        with self._queues(Selection(queues={*self._known, *queues})) as known:
            known.look(restoring.see)
        return restoring.run(lines)

    def _examiner(self, *, force: bool) -> Examiner:
        return Examiner(self._broker, force=force, timeout_s=self._timeout_s)

    @contextmanager
    def _queues(self, selection: Selection) -> Iterator[DeadQueues]:
        options = self._broker.engine.options
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
