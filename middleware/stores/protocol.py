"""What a store of idempotency records is asked, and what it answers.

A record says what became of a key. Whoever begins a free key gets a *claim*: a lease and a fencing token. The claim
must be renewed while it is held, and ends with an *outcome*, which counts only if nobody has taken the key over since.
All times are the store's own: no two workers need to agree on a clock. Durations are milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from middleware.stores.notes import Notes
from middleware.stores.seats import Seats


class StoreUnavailable(Exception):
    """The store did not answer within its timeout, or refuses to write."""


class State(StrEnum):
    """What a record says of its key."""

    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    RELEASED = "released"


# The error of a record that no worker has ended: the store itself has, when all of them were lost.
WORKER_LOST = "its worker was lost"
# And of one whose message was aborted; it has failed, and is no dead letter.
ABORTED = "it was aborted"
OPEN = frozenset({State.RUNNING, State.WAITING, State.FAILED, State.UNKNOWN})


class Verdict(StrEnum):
    """The answer to a request for a claim.

    ``RUN``: here is the claim. ``BUSY``: another delivery holds the key, or waits to be tried again. ``DONE``,
    ``FAILED``, ``UNKNOWN``: the record's state, and nothing is to be run. ``CONFLICT``: the key belongs to other
    arguments. ``POISON``: it has cost as many workers as it may. ``ABORTED``: its message was aborted, and has failed,
    unless the key is another's.
    """

    RUN = "run"
    BUSY = "busy"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    CONFLICT = "conflict"
    POISON = "poison"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True)
class Request:
    """A delivery's request for its key.

    Attributes:
        digest: the record's name, made of scope and key.
        scope: what the key is unique in; the actor's name by default.
        key: the key in clear; the message id where the actor has no key of its own.
        owner: the message id.
        token: names this delivery; a request repeated after a timeout gets the claim that the first one got, with
            its lease from now on.
        fingerprint: of the arguments; empty where they are not compared.
        lease_ms: how long a claim holds without renewal.
        ttl_ms: how long the record is remembered after its last change, or after the lease or the wait that it set.
        max_losses: so many lost workers make a message poison.
        park: a message whose worker was lost after its start goes to ``UNKNOWN``, not to the next worker.
        hold: a key that has failed stays closed to other messages.
        replays: how often the message has been replayed; a higher number than the record's reopens its end.
        lost: how many of its workers were lost before the store was asked of it; a claim counts them.
        replayed: when that was last, in milliseconds since the Unix epoch, or 0; it undoes an abort before it.
    """

    digest: str
    scope: str
    key: str
    owner: str
    token: str
    fingerprint: str = ""
    lease_ms: int = 30_000
    ttl_ms: int = 86_400_000
    max_losses: int = 3
    park: bool = False
    hold: bool = False
    replays: int = 0
    lost: int = 0
    replayed: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the store says to a :class:`Request`: of its claim, or else of the record that is in its way.

    Attributes:
        verdict: see :class:`Verdict`.
        fence: the fencing token of the claim, or 0; rises with every claim in the store, also after a record is gone.
        lost: how many workers were lost while they held the key; the work may have been done if it is not 0.
        retries: how many attempts of the owner have failed.
        owner: the message that holds the key; the one that asked, if it has got it.
        remaining_ms: until the owner's lease ends, or it is due; to a message that finds another one waiting, until
            the key is its own to take, which is a lease later.
        result: what ``Outcome.result`` was, of one that is done.
        error: what ``Outcome.error`` was, of one that has failed or waits.
    """

    verdict: Verdict
    fence: int = 0
    lost: int = 0
    retries: int = 0
    owner: str = ""
    remaining_ms: int = 0
    result: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """A key that is held."""

    request: Request
    fence: int
    lost: int = 0
    retries: int = 0

    @property
    def needs_mark(self) -> bool:
        """Whether the start must be marked before it, since the blame for a loss is to fall on what had started."""
        return self.request.park or self.lost > 0 or self.request.max_losses == 1

    @property
    def is_last_chance(self) -> bool:
        """Whether it has cost workers, and one more would make it poison."""
        return self.lost > 0 and self.lost + 1 >= self.request.max_losses


class Ending(StrEnum):
    """How a claim ends.

    ``DONE``, ``FAILED`` and ``ABORTED`` are final. ``WAITING``: to be tried again. ``ABANDONED``: not begun, left to
    the next delivery of the same message. ``FORGOTTEN``: not begun, and not to be; the key is free at once.
    """

    DONE = "done"
    FAILED = "failed"
    ABORTED = "aborted"
    WAITING = "waiting"
    ABANDONED = "abandoned"
    FORGOTTEN = "forgotten"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the attempt of *claim* ended.

    Attributes:
        claim: the claim that ends.
        ending: see :class:`Ending`.
        result: of one that is done; text that the store does not look into.
        error: of one that has failed, likewise.
        due_ms: when one that waits may be tried again, from now.
        retries: of one that waits or has failed, how many of its attempts have failed by now.
    """

    claim: Claim
    ending: Ending
    result: str = ""
    error: str = ""
    due_ms: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True)
class Record:
    """What a store knows of a key; times are milliseconds since the Unix epoch, 0 for none."""

    digest: str
    state: State
    scope: str = ""
    key: str = ""
    owner: str = ""
    fence: int = 0
    until: int = 0
    lost: int = 0
    retries: int = 0
    replays: int = 0
    fingerprint: str = ""
    result: str = ""
    error: str = ""
    changed: int = 0
    expires: int = 0


@dataclass(frozen=True, slots=True)
class Kept:
    """A record, which delivery it answers to, and whether a loss is not to be blamed on it, since it never started."""

    record: Record
    token: str = ""
    unstarted: bool = False


@dataclass(frozen=True, slots=True)
class Alias:
    """Which key a message with a key of its own asked for, until *expires*, in milliseconds since the Unix epoch."""

    message_id: str
    digest: str
    expires: int


class Refused(Exception):
    """An operator's command does not fit the state of the record."""


class Store(Notes, Seats, Protocol):
    """Keeps the records. Every call is atomic for each key, and safe from any thread.

    All of them raise :class:`StoreUnavailable`; one that did may have happened, and can be repeated.
    """

    def exchange(self, outcomes: Sequence[Outcome], requests: Sequence[Request]) -> tuple[list[bool], list[Answer]]:
        """Record *outcomes*, then answer *requests*, in one round trip.

        An outcome counts only if its claim's fence is the record's, or the record is gone: then nobody else holds it.
        What is done stays so: of its claim's outcomes only ``DONE`` counts again.

        Returns:
            For each outcome whether it counted, and the answer to each request.
        """

    def renew(self, claims: Sequence[Claim]) -> list[bool]:
        """Extend the leases of *claims*; return for each whether it is still held. A record that is gone comes back."""

    def mark(self, claim: Claim) -> bool:
        """Note that the work of *claim* starts, and extend its lease; return whether it is still held."""

    def inspect(self, digest: str) -> Record | None:
        """Return the record of *digest*."""

    def digest_of(self, message_id: str) -> str | None:
        """Return the digest of the key that a message with a key of its own asked for."""

    def list_open(self, *, after: str = "", limit: int = 100) -> tuple[list[Record], str]:
        """Return a page of the records that are not done, and what to give as *after* for the next; ``""`` at the end.

        Those that expire first come first. A page may hold fewer than *limit* where records have just changed.

        Raises:
            ValueError: *after* is nothing that a page has returned.
        """

    def release(self, digest: str, *, force: bool = False) -> Record:
        """Free a key, so that the next message with it runs; return the record as it was.

        Raises:
            KeyError: there is no such record.
            Refused: its lease is alive, and *force* is not given. With it, the holder's outcome will not count.
        """

    def complete(self, digest: str, *, result: str = "", force: bool = False) -> Record:
        """Note that a key's work is done, so that it does not run again; return the record as it was.

        Raises:
            KeyError, Refused: as for :meth:`release`.
        """

    def open_group(self, group: str, size: int, *, ttl_ms: int) -> None:
        """Note that *group* has *size* members."""

    def arrive(self, group: str, member: str) -> bool:
        """Note that *member* has arrived, however often; return whether all have. A group that is gone never has."""

    def restore(self, kept: Sequence[Kept], aliases: Sequence[Alias], *, fence: int) -> list[bool]:
        """Take over what another store has *kept*, with its *aliases*; it can be repeated.

        What is here and has changed as late, or is held by somebody alive, stays. The times count as they are: what
        has expired by this store's clock is left out.

        Args:
            kept: records, no two of one key.
            aliases: those of messages that have none here.
            fence: the highest fencing token of the other store; those to come are higher.

        Returns:
            For each record whether it was put here by this call.
        """

    def now(self) -> int:
        """Return the store's time, in milliseconds since the Unix epoch."""


def pages(store: Store, *, limit: int = 100) -> Iterator[Record]:
    """Yield all records that are not done, page by page."""
    after = ""
    while True:
        records, after = store.list_open(after=after, limit=limit)
        yield from records
        if not after:
            return
