"""What is decided in one transaction: each record is read once, and written once at the end."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from middleware.stores import transitions
from middleware.stores.notes import Abort
from middleware.stores.protocol import Alias, Answer, Claim, Ending, Kept, Outcome, Request
from middleware.stores.sqlite import notes
from middleware.stores.sqlite.rows import find, find_all, keep, to_text

_ALIAS = """
INSERT INTO actors_aliases VALUES (?, ?, ?)
ON CONFLICT (owner) DO UPDATE SET digest = excluded.digest, expires = excluded.expires
"""
_LAST_FENCE = "SELECT last FROM actors_fence"
_KEEP_FENCE = "INSERT INTO actors_fence VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET last = excluded.last"


class Exchange:
    """The records that a transaction on *raw* has read or changed, at the time *now*.

    Attributes:
        now: milliseconds since the Unix epoch, the same for all that is decided.
    """

    def __init__(self, raw: sqlite3.Connection, now: int) -> None:
        self.now = now
        self._raw = raw
        self._found: dict[str, Kept | None] = {}
        self._changed: dict[str, Kept] = {}
        self._aliases: dict[str, tuple[str, int]] = {}
        self._notes: dict[str, int] = {}
        self._heeded: set[str] = set()
        self._fence: int | None = None

    def look(self, digests: Iterable[str], owners: Iterable[str]) -> None:
        """Read what is kept of *digests* at once, and which messages of *owners* are to be aborted."""
        self._found.update(find_all(self._raw, digests, self.now))
        self._notes = notes.find(self._raw, owners)

    def begin(self, request: Request) -> Answer:
        """Return the answer to *request*."""
        answer, kept = transitions.begin(
            self.get(request.digest),
            request,
            self.now,
            next_fence=self.next_fence,
            note=self._notes.get(request.owner),
        )
        if kept is not None:
            self.keep(kept)
        if transitions.removes_its_note(answer, kept):
            self._heed(request.owner)
        if transitions.names_its_key(request, answer):
            self._aliases[request.owner] = (request.digest, self.now + request.lease_ms + request.ttl_ms)
        return answer

    def finish(self, outcome: Outcome) -> bool:
        """Record *outcome*; return whether it counts."""
        kept = transitions.finish(self.get(outcome.claim.request.digest), outcome, self.now)
        if kept is None:
            return False
        if outcome.ending is Ending.ABORTED:
            self._heed(outcome.claim.request.owner)
        return self.keep(kept)

    def abort(self, message_id: str, digests: Iterable[str]) -> Abort:
        """Note that a message is to be aborted, unless it has ended; return what is known of it."""
        there = [self.get(digest) for digest in digests]
        records = [kept.record if kept is not None else None for kept in there]
        found = transitions.abort(records, message_id, self.now)
        if found is not Abort.ENDED:
            notes.keep(self._raw, message_id, self.next_fence(), self.now)
        return found

    def renew(self, claim: Claim, *, mark: bool = False) -> bool:
        """Extend the lease of *claim*; return whether it is still held."""
        kept = transitions.renew(self.get(claim.request.digest), claim, self.now, mark=mark)
        return kept is not None and self.keep(kept)

    def restore(self, kept: Kept) -> bool:
        """Keep what another store has *kept*, unless this one knows better; return whether it is kept."""
        return transitions.restore(self.get(kept.record.digest), kept, self.now) and self.keep(kept)

    def restore_alias(self, alias: Alias) -> None:
        """Keep *alias*, unless its message has one."""
        self._raw.execute(
            "DELETE FROM actors_aliases WHERE owner = ? AND expires <= ?", (to_text(alias.message_id), self.now)
        )
        row = (to_text(alias.message_id), to_text(alias.digest), alias.expires)
        self._raw.execute("INSERT OR IGNORE INTO actors_aliases VALUES (?, ?, ?)", row)

    def raise_fence(self, fence: int) -> None:
        """Let all fencing tokens to come be higher than *fence*."""
        [last] = self._raw.execute(_LAST_FENCE).fetchone() or [0]
        self._fence = max(self._fence or 0, last, fence)

    def get(self, digest: str) -> Kept | None:
        """Return what is kept of *digest* by now."""
        if digest not in self._found:
            self._found[digest] = find(self._raw, digest, self.now)
        return self._found[digest]

    def keep(self, kept: Kept) -> bool:
        """Keep *kept*; return True."""
        # What has expired at once is not there for the next.
        self._found[kept.record.digest] = kept if kept.record.expires > self.now else None
        self._changed[kept.record.digest] = kept
        return True

    def next_fence(self) -> int:
        """Return a fencing token that is higher than all before, also those of a file that was lost."""
        if self._fence is None:
            [self._fence] = self._raw.execute(_LAST_FENCE).fetchone() or [0]
        self._fence = max(self._fence, self.now * 1000) + 1
        return self._fence

    def _heed(self, owner: str) -> None:
        """Let the note of *owner* be gone, for what follows in this exchange too."""
        self._notes.pop(owner, None)
        self._heeded.add(owner)

    def write(self) -> None:
        """Write what has changed."""
        keep(self._raw, self._changed.values())
        if self._aliases:
            rows = [(to_text(owner), to_text(digest), expires) for owner, (digest, expires) in self._aliases.items()]
            self._raw.executemany(_ALIAS, rows)
        if self._heeded:
            notes.drop(self._raw, self._heeded)
        if self._fence is not None:
            self._raw.execute(_KEEP_FENCE, (self._fence,))
