"""Sends dead letters of a file again."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from actors.brokers.outgoing import Following
from actors.brokers.sqlite import SqliteEngine, graves, queues
from actors.brokers.sqlite.graves import Grave
from actors.brokers.sqlite.looking import changing, looking
from actors.dead_letters.objections import Examiner, Objection
from actors.dead_letters.rate import Rate
from actors.dead_letters.selection import Dead, Selection
from actors.dead_letters.sqlite.relapses import Relapses
from actors.dead_letters.sqlite.walk import Walk
from actors.dead_letters.terms import Replayed, Terms

# How many messages are put into their queues in one transaction: it must not keep others from writing for long.
BATCH = 500
# How often the caller is asked whether to go on, and how often the new letters are looked at, in seconds.
ASK_EVERY_S = 0.1
COUNT_EVERY_S = 1.0


class Replay:
    """One replay.

    A message is put into its queue by the transaction that deletes its letter. So it is in one place or in the other,
    whatever ends between two statements, and whoever else replays or discards the same letter meanwhile.

    Args:
        engine: whose file they are in.
        names: the logical queues whose dead letters they are.
        selection: which letters are meant.
        examiner: says what speaks against one.
        terms: how it is done.
    """

    def __init__(
        self, engine: SqliteEngine, names: Sequence[str], selection: Selection, examiner: Examiner, terms: Terms
    ) -> None:
        self._engine = engine
        self._file = engine.options.file
        self._names = names
        self._selection = selection
        self._examiner = examiner
        self._terms = terms
        self._rate = Rate(terms.rate)
        self._so_far = Replayed()
        self._pending: list[tuple[Grave, Following]] = []
        with looking(self._file) as connection:
            self._newest = graves.newest(connection)
        self._relapses = Relapses(self._file, names, after=self._newest, stop_after=terms.stop_after)
        self._asked_at = self._counted_at = time.monotonic()

    def run(self) -> Replayed:
        """Replay what is meant of all that is there now; return how far that came.

        Raises:
            ConnectionFailed: the file can't be used.
        """
        for grave in self._letters():
            if not self._may_begin():
                break
            following = self._following(grave)
            if isinstance(following, Objection):
                self._so_far = replace(self._so_far, kept=self._so_far.kept + 1)
                self._terms.kept(Dead.of(grave), following)
            else:
                self._pending.append((grave, following))
                self._rate.count()
            if len(self._pending) >= BATCH:
                self._send()
        if not self._so_far.stopped:
            self._send()
        return self._so_far

    def _letters(self) -> Iterator[Grave]:
        for name in self._names:
            yield from Walk(self._file, name, self._selection, newest=self._newest, whole=True)

    def _following(self, grave: Grave) -> Following | Objection:
        outgoing = self._examiner.examine(grave)
        return outgoing if isinstance(outgoing, Objection) else self._examiner.following(outgoing)

    def _may_begin(self) -> bool:
        """Wait for the rate; return whether to go on."""
        while not self._rate.allows():
            self._send()
            if not self._goes_on():
                return False
            self._rate.nap()
        return self._goes_on()

    def _goes_on(self) -> bool:
        now = time.monotonic()
        if now - self._asked_at >= ASK_EVERY_S:
            self._asked_at = now
            self._ask()
        if self._so_far.replayed and now - self._counted_at >= COUNT_EVERY_S:
            self._counted_at = now
            if self._relapses.are_too_many(self._so_far.replayed):
                self._stop(f"{self._relapses.found} messages have failed again")
            self._so_far = replace(self._so_far, relapsed=self._relapses.found)
        return not self._so_far.stopped

    def _send(self) -> None:
        """Put what is pending into its queues, but for what is not among the dead letters any more."""
        pending, self._pending = self._pending, []
        if not pending:
            return
        with changing(self._file) as connection:
            removed = graves.remove(connection, [grave.id for grave, _ in pending])
            sent = [(grave, following) for grave, following in pending if grave.id in removed]
            queues.put(connection, [following.publication for _, following in sent])
        self._engine.ring({following.publication.queue for _, following in sent})
        self._so_far = replace(self._so_far, replayed=self._so_far.replayed + len(sent))
        for grave, _ in sent:
            self._terms.done(Dead.of(grave))
        self._ask()

    def _ask(self) -> None:
        if not self._terms.go_on(self._so_far):
            self._stop("it was interrupted")

    def _stop(self, why: str) -> None:
        self._so_far = replace(self._so_far, stopped=self._so_far.stopped or why)
