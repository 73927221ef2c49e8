"""Idempotency records in a SQLite file: for all processes of one machine."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from middleware.stores import transitions
from middleware.stores.notes import Abort
from middleware.stores.protocol import Alias, Answer, Claim, Kept, Outcome, Record, Request, State, StoreUnavailable
from middleware.stores.seats import SeatAnswer, SeatRequest
from middleware.stores.sqlite import notes, seats
from middleware.stores.sqlite.errors import FileRefused, FileUnavailable
from middleware.stores.sqlite.exchange import Exchange
from middleware.stores.sqlite.file import SqliteFile
from middleware.stores.sqlite.rows import find, from_text, list_open, to_text
from middleware.stores.sqlite.sweep import sweep_groups, sweep_records

# The highest id that a row can have.
_LAST = 2**63 - 1


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class SqliteStore:
    """See :class:`~middleware.stores.protocol.Store`. Nothing is opened before the first call.

    Args:
        file: where the records are; its schema has this package's ``SCHEMA`` in it.
        now: returns the time in milliseconds since the Unix epoch. All processes of a machine have the same.
    """

    def __init__(self, file: SqliteFile, *, now: Callable[[], int] = _now_ms) -> None:
        self._file = file
        self._now = now

    @property
    def file(self) -> SqliteFile:
        """The file."""
        return self._file

    def exchange(self, outcomes: Sequence[Outcome], requests: Sequence[Request]) -> tuple[list[bool], list[Answer]]:
        """Record *outcomes*, then answer *requests*, in one transaction."""
        with self._changing() as (raw, exchange):
            if requests:
                sweep_records(raw, exchange.now, coming=len(requests))
            asked = [outcome.claim.request.digest for outcome in outcomes]
            digests = [*asked, *(request.digest for request in requests)]
            exchange.look(digests, [request.owner for request in requests])
            counted = [exchange.finish(outcome) for outcome in outcomes]
            return counted, [exchange.begin(request) for request in requests]

    def renew(self, claims: Sequence[Claim]) -> list[bool]:
        """Extend the leases of *claims*; return for each whether it is still held."""
        with self._changing() as (_, exchange):
            return [exchange.renew(claim) for claim in claims]

    def mark(self, claim: Claim) -> bool:
        """Note that the work of *claim* starts, and extend its lease; return whether it is still held."""
        with self._changing() as (_, exchange):
            return exchange.renew(claim, mark=True)

    def inspect(self, digest: str) -> Record | None:
        """Return the record of *digest*."""
        with self._reading() as raw:
            kept = find(raw, digest, self._now())
        return kept.record if kept is not None else None

    def digest_of(self, message_id: str) -> str | None:
        """Return the digest of the key that a message with a key of its own asked for."""
        with self._reading() as raw:
            place = (to_text(message_id), self._now())
            row = raw.execute("SELECT digest FROM actors_aliases WHERE owner = ? AND expires > ?", place).fetchone()
        return from_text(row[0]) if row is not None else None

    def list_open(self, *, after: str = "", limit: int = 100) -> tuple[list[Record], str]:
        """Return a page of the records that are not done, and what to give as *after* for the next."""
        # What has expired and is yet to be swept is passed over at once.
        place = max(_place(after), (self._now(), _LAST))
        with self._reading() as raw:
            rest = list_open(raw, place, limit + 1)
        page = rest[:limit]
        return [record for record, _ in page], f"{page[-1][0].expires} {page[-1][1]}" if len(rest) > limit else ""

    def release(self, digest: str, *, force: bool = False) -> Record:
        """Free a key, so that the next message with it runs; return the record as it was."""
        return self._override(digest, State.RELEASED, "", force=force)

    def complete(self, digest: str, *, result: str = "", force: bool = False) -> Record:
        """Note that a key's work is done, so that it does not run again; return the record as it was."""
        return self._override(digest, State.DONE, result, force=force)

    def open_group(self, group: str, size: int, *, ttl_ms: int) -> None:
        """Note that *group* has *size* members."""
        name, now = to_text(group), self._now()
        with self._writing() as raw:
            sweep_groups(raw, now)
            raw.execute("DELETE FROM actors_groups WHERE name = ? AND expires <= ?", (name, now))
            raw.execute(
                "INSERT INTO actors_groups VALUES (?, ?, ?) "
                "ON CONFLICT (name) DO UPDATE SET size = excluded.size, expires = excluded.expires",
                (name, size, now + ttl_ms),
            )

    def arrive(self, group: str, member: str) -> bool:
        """Note that *member* has arrived, however often; return whether all have."""
        name = to_text(group)
        with self._writing() as raw:
            there = (name, self._now())
            row = raw.execute("SELECT size FROM actors_groups WHERE name = ? AND expires > ?", there).fetchone()
            if row is None:
                return False
            raw.execute("INSERT OR IGNORE INTO actors_arrived VALUES (?, ?)", (name, to_text(member)))
            [arrived] = raw.execute("SELECT count(*) FROM actors_arrived WHERE name = ?", (name,)).fetchone()
            return bool(arrived >= row[0])

    def restore(self, kept: Sequence[Kept], aliases: Sequence[Alias], *, fence: int) -> list[bool]:
        """Take over what another store has *kept*, with its *aliases*, in one transaction."""
        with self._changing() as (_, exchange):
            exchange.raise_fence(fence)
            for alias in aliases:
                exchange.restore_alias(alias)
            return [exchange.restore(each) for each in kept]

    def abort(self, message_id: str, digests: Sequence[str]) -> Abort:
        """Note that a message is to be aborted, unless it has ended."""
        with self._changing() as (_, exchange):
            return exchange.abort(message_id, digests)

    def aborts(self, after: int, *, limit: int = 1_000) -> list[tuple[str, int]]:
        """Return messages that are to be aborted, each with the number of its note."""
        with self._reading() as raw:
            return notes.list_after(raw, after, limit)

    def sit(self, request: SeatRequest) -> SeatAnswer:
        """Give a seat to *request*, or a place in the line."""
        with self._seating() as raw:
            return seats.sit(raw, request, self._now())

    def keep_seats(self, held: Sequence[SeatRequest]) -> list[bool]:
        """Extend the leases of *held*; return for each whether it is still so."""
        with self._seating() as raw:
            return [seats.keep(raw, each, self._now()) for each in held]

    def leave_seat(self, seat: SeatRequest, held_ms: int | None) -> None:
        """Free *seat*, which was held for *held_ms* milliseconds; None if that is known already."""
        with self._seating() as raw:
            seats.leave(raw, seat, held_ms, self._now())

    def now(self) -> int:
        """Return the store's time, in milliseconds since the Unix epoch."""
        return self._now()

    def _override(self, digest: str, state: State, result: str, *, force: bool) -> Record:
        with self._changing() as (_, exchange):
            kept = exchange.get(digest)
            if kept is None:
                raise KeyError(digest)
            exchange.keep(
                transitions.override(
                    kept.record, state, result, exchange.now, force=force, next_fence=exchange.next_fence
                )
            )
            return kept.record

    @contextmanager
    def _changing(self) -> Iterator[tuple[sqlite3.Connection, Exchange]]:
        """Yield a transaction's connection and what is decided in it, which is kept at the end of the block."""
        with self._writing() as raw:
            # The time of the turn, not of the wait for it: what another process did in the meantime came before.
            exchange = Exchange(raw, self._now())
            yield raw, exchange
            exchange.write()

    def _writing(self) -> AbstractContextManager[sqlite3.Connection]:
        return _available(self._file.write())

    def _seating(self) -> AbstractContextManager[sqlite3.Connection]:
        # Whoever has a seat does not outlive the machine; what a power cut undoes is over.
        return _available(self._file.write(synced=False))

    def _reading(self) -> AbstractContextManager[sqlite3.Connection]:
        return _available(self._file.read())


@contextmanager
def _available(transaction: AbstractContextManager[sqlite3.Connection]) -> Iterator[sqlite3.Connection]:
    try:
        with transaction as raw:
            yield raw
    except (FileUnavailable, FileRefused) as error:
        raise StoreUnavailable(f"the store can't serve: {error}") from error


def _place(after: str) -> tuple[int, int]:
    """Return the expiry and the id of the row that the cursor *after* names."""
    expires, _, row = after.partition(" ")
    return (int(expires), int(row)) if after else (0, 0)
