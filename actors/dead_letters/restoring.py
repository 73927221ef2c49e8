"""Puts dead letters of an archive back among the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from dramatiq.errors import ConnectionFailed

from actors.brokers.broker import Broker
from actors.brokers.buried import Buried, rebury
from actors.brokers.publisher import Publication
from actors.brokers.rabbitmq import RabbitmqEngine
from actors.dead_letters.archive import Archived, BadLine, read_line
from middleware import Letter

# How many lines are in memory, and are published together.
CHUNK = 500


@dataclass(frozen=True, slots=True)
class Restored:
    """How far an import came.

    Attributes:
        restored: how many letters were put back, confirmed.
        present: how many are there already.
        expired: how many were past their retention.
        bad: how many lines can't be read.
        lines: how many lines were dealt with.
    """

    restored: int = 0
    present: int = 0
    expired: int = 0
    bad: int = 0
    lines: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportTerms:
    """How letters are put back.

    Attributes:
        fresh: keep each for the retention of today's setting, in place of what is left of its own.
        bad: called with the number of each line that can't be read, and why.
        restored: called with each letter that was put back.
        go_on: called after each chunk with how far it came; returns whether to go on.
    """

    fresh: bool = False
    bad: Callable[[int, str], object] = lambda number, why: None
    restored: Callable[[Letter], object] = lambda letter: None
    go_on: Callable[[Restored], bool] = lambda so_far: True


class Restoring:
    """One import.

    Args:
        broker: publishes.
        terms: how it is done.
        timeout_s: how long RabbitMQ may take for each chunk, in seconds.
    """

    def __init__(self, broker: Broker[RabbitmqEngine], terms: ImportTerms, *, timeout_s: float) -> None:
        self._broker = broker
        self._terms = terms
        self._timeout_s = timeout_s
        self._present: set[str] = set()
        self._so_far = Restored()

    def see(self, buried: Buried) -> None:
        """Note a letter that is there already."""
        self._present.add(buried.letter.id)

    def run(self, lines: Iterable[str | bytes]) -> Restored:
        """Put back the letters of *lines*; return how far that came.

        Raises:
            ConnectionFailed: RabbitMQ did not confirm some letters in time. The same import may be run again: it puts
                back what is missing.
        """
        numbered = enumerate(lines, start=1)
        while chunk := list(islice(numbered, CHUNK)):
            archived = list(self._read(chunk))
            publications = [self._publication(each) for each in archived]
            refusals = self._broker.engine.publisher.publish(publications, self._timeout_s)
            refused = {id(refusal.publication) for refusal in refusals}
            for each, publication in zip(archived, publications, strict=True):
                if id(publication) not in refused:
                    self._so_far = replace(self._so_far, restored=self._so_far.restored + 1)
                    self._terms.restored(each.letter)
            if refusals:
                first = refusals[0]
                what = f"{len(refusals)} dead letters, the first of message {first.publication.properties.message_id},"
                raise ConnectionFailed(f"{what} not confirmed: {first.reason}; run the same import again")
            self._so_far = replace(self._so_far, lines=chunk[-1][0])
            if not self._terms.go_on(self._so_far):
                break
        return self._so_far

    def _read(self, chunk: Iterable[tuple[int, str | bytes]]) -> Iterator[Archived]:
        """Yield what of *chunk* is to be put back."""
        for number, line in chunk:
            if not line.strip():
                continue
            try:
                archived = read_line(line)
            except BadLine as error:
                self._so_far = replace(self._so_far, bad=self._so_far.bad + 1)
                self._terms.bad(number, str(error))
                continue
            if archived.letter.id in self._present:
                self._so_far = replace(self._so_far, present=self._so_far.present + 1)
            elif not self._terms.fresh and archived.expires is not None and archived.expires <= _now():
                self._so_far = replace(self._so_far, expired=self._so_far.expired + 1)
            else:
                self._present.add(archived.letter.id)
                yield archived

    def _publication(self, archived: Archived) -> Publication:
        now = _now()
        retention_ms = self._broker.engine.options.dead_letter_retention_ms
        if not self._terms.fresh:
            retention_ms = None if archived.expires is None else max(1, archived.expires - now)
        queue = self._broker.engine.declarations.dead(archived.letter.queue)
        return rebury(queue, archived.body, archived.letter, retention_ms=retention_ms, now=now)


def _now() -> int:
    return time.time_ns() // 1_000_000
