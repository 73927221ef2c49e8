"""Which dead letters are meant."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from actors.dead_letters.buried import Buried
from middleware import Letter


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which dead letters are meant: those that every condition holds for; an empty one holds for all.

    Attributes:
        queues: logical queues; empty for those of all loaded actors.
        actors: names of actors.
        reasons: values of :class:`~middleware.failure.Reason`; ``""`` is that of letters which do not say.
        error_types: names of errors' classes.
        fingerprints: of errors.
        ids: of letters or of messages.
        since, until: when they died, in milliseconds since the Unix epoch: not before *since*, and before *until*.
    """

    queues: Collection[str] = ()
    actors: Collection[str] = ()
    reasons: Collection[str] = ()
    error_types: Collection[str] = ()
    fingerprints: Collection[str] = ()
    ids: Collection[str] = ()
    since: int | None = None
    until: int | None = None

    def before(self, moment: int) -> Selection:
        """Return the same of those that died before *moment*, in milliseconds since the Unix epoch."""
        return replace(self, until=moment if self.until is None else min(self.until, moment))

    def matches(self, letter: Letter) -> bool:
        """Return whether *letter*, which is in one of the queues, is meant."""
        return (
            (not self.actors or letter.actor in self.actors)
            and (not self.reasons or letter.reason in self.reasons)
            and (not self.error_types or letter.error_type in self.error_types)
            and (not self.fingerprints or letter.fingerprint in self.fingerprints)
            and (not self.ids or letter.id in self.ids or letter.message_id in self.ids)
            and (self.since is None or letter.died >= self.since)
            and (self.until is None or letter.died < self.until)
        )


ALL = Selection()


@dataclass(frozen=True, slots=True)
class Dead:
    """A dead letter in its queue.

    Attributes:
        letter: what is said of the end of its message.
        queue: the logical queue.
        found_in: the physical queue; in a file, the logical one.
        expires: when it is dropped, in milliseconds since the Unix epoch; None for never.
        size: of its body, in bytes.
    """

    letter: Letter
    queue: str
    found_in: str
    expires: int | None
    size: int

    @classmethod
    def of(cls, buried: Buried) -> Dead:
        """Return what there is to say of *buried*."""
        return cls(buried.letter, buried.queue, buried.found_in, buried.expires, len(buried.body))
