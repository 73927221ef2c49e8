"""Puts dead letters of an archive back into RabbitMQ."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from dramatiq.errors import ConnectionFailed

from actors.brokers.buried import rebury
from actors.brokers.publisher import Publication
from actors.brokers.rabbitmq import RabbitmqEngine
from actors.dead_letters.archive import Archived
from actors.dead_letters.restoring import Choose
from middleware.letter import now_ms


class RabbitmqGround:
    """See :class:`~actors.dead_letters.restoring.Ground`.

    Args:
        engine: publishes.
        present: the ids of letters that are there already.
        fresh: keep each for the retention of today's setting, in place of what is left of its own.
        timeout_s: how long RabbitMQ may take for each chunk, in seconds.
    """

    def __init__(self, engine: RabbitmqEngine, present: Collection[str], *, fresh: bool, timeout_s: float) -> None:
        self._engine = engine
        self._present = set(present)
        self._fresh = fresh
        self._timeout_s = timeout_s

    def put_back(self, archived: Sequence[Archived], choose: Choose) -> Iterator[Archived]:
        """Publish those of *archived* that *choose* wants; yield each that is confirmed.

        Raises:
            ConnectionFailed: RabbitMQ did not confirm some in time.
        """
        wanted = []
        for each in archived:
            if choose(each, is_present=each.letter.id in self._present):
                self._present.add(each.letter.id)
                wanted.append(each)
        publications = [self._publication(each) for each in wanted]
        refusals = self._engine.publisher.publish(publications, self._timeout_s)
        refused = {id(refusal.publication) for refusal in refusals}
        for each, publication in zip(wanted, publications, strict=True):
            if id(publication) not in refused:
                yield each
        if refusals:
            first = refusals[0]
            what = f"{len(refusals)} dead letters, the first of message {first.publication.properties.message_id},"
            raise ConnectionFailed(f"{what} not confirmed: {first.reason}; run the same import again")

    def _publication(self, archived: Archived) -> Publication:
        now = now_ms()
        retention_ms = self._engine.options.dead_letter_retention_ms
        if not self._fresh:
            retention_ms = None if archived.expires is None else max(1, archived.expires - now)
        queue = self._engine.declarations.dead(archived.letter.queue)
        return rebury(queue, archived.body, archived.letter, retention_ms=retention_ms, now=now)
