"""What a store has to say, in the fewest words: one mutable entry a key, and the table of the design as a list of rows.

It knows nothing of fences but that each new one is higher than all before: it is told each by the store that it judges.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from middleware.stores import Claim, Ending, Outcome, Request


@dataclass
class Entry:
    """The record of a key."""

    request: Request
    state: str
    fence: int
    changed: int
    expires: int
    until: int = 0
    lost: int = 0
    retries: int = 0
    result: str = ""
    error: str = ""
    blameless: bool = False
    told_poison: str = ""


@dataclass(frozen=True)
class Situation:
    """A request, the entry that it finds, and the time in milliseconds."""

    entry: Entry
    request: Request
    now: int

    @property
    def same(self) -> bool:
        return self.entry.request.owner == self.request.owner

    @property
    def ended(self) -> bool:
        return self.entry.state in ("failed", "unknown")

    @property
    def same_delivery(self) -> bool:
        return self.entry.request.token == self.request.token

    @property
    def conflict(self) -> bool:
        prints = {self.entry.request.fingerprint, self.request.fingerprint} - {""}
        return len(prints) == 2 and not self.same

    @property
    def free_at(self) -> int:
        """When the key stops to be its holder's."""
        patience = self.request.lease_ms if self.entry.state == "waiting" and not self.same else 0
        return self.entry.until + patience

    @property
    def alive(self) -> bool:
        return self.now < self.free_at

    @property
    def known_losses(self) -> int:
        return max(self.entry.lost, self.request.lost)

    @property
    def losses(self) -> int:
        """How many there are once the lease that is over is counted."""
        return self.known_losses + (not self.entry.blameless)


def _is(*states: str) -> Callable[[Situation], bool]:
    return lambda found: found.entry.state in states


# The first row whose condition holds decides. "run" is a new claim with the losses and retries of the record, "anew"
# one without, "reopened" one with its losses only, "again" the claim that there is, "loss" a new claim with one loss
# more. Losses that the request knows of count as if the record knew them, too.
ROWS: list[tuple[Callable[[Situation], bool], str]] = [
    (_is("released"), "anew"),
    (lambda found: found.entry.state == "failed" and not found.same and not found.request.hold, "anew"),
    (lambda found: found.conflict, "conflict"),
    (_is("done"), "done"),
    (lambda found: found.entry.state == "failed" and found.entry.told_poison == found.request.token, "poison"),
    (lambda found: found.ended and found.same and found.request.replays > found.entry.request.replays, "reopened"),
    (_is("unknown"), "unknown"),
    (_is("failed"), "failed"),
    (lambda found: found.entry.state == "running" and found.same_delivery, "again"),
    (lambda found: found.alive, "busy"),
    (_is("waiting"), "run"),
    (lambda found: found.entry.blameless, "run"),
    (lambda found: found.request.park, "parked"),
    (lambda found: found.same and found.losses >= found.request.max_losses, "poisoned"),
    (lambda found: True, "loss"),
]


OPEN = ("running", "waiting", "failed", "unknown")
# What begins a claim, what lets run, and what is told where it is not the name of the row.
NEW_CLAIM = ("anew", "run", "reopened", "loss")
RUNS = (*NEW_CLAIM, "again")
VERDICTS = {"parked": "unknown", "poisoned": "poison"}


class Model:
    """The entries, by digest; those that have expired are gone."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.aliases: dict[str, tuple[str, int]] = {}
        # The messages that are to be aborted.
        self.notes: set[str] = set()

    def find(self, digest: str, now: int) -> Entry | None:
        entry = self.entries.get(digest)
        return entry if entry is not None and entry.expires > now else None

    def judge(self, request: Request, now: int) -> str:
        """The row that *request* meets, or "aborted"; "spared" if it is, and the key is another's."""
        entry, row = self.find(request.digest, now), self.row(request, now)
        if request.owner not in self.notes:
            return row
        if entry is None or entry.state == "released":
            return "aborted"
        if entry.request.owner != request.owner:
            return "spared"
        stands = {"running": "busy", "waiting": ""}.get(entry.state, entry.state)
        return row if row == stands else "aborted"

    def abort(self, owner: str, digests: list[str], now: int) -> str:
        """Follow the abort of message *owner*; return what it is told."""
        for entry in (self.find(digest, now) for digest in digests):
            if entry is not None and entry.request.owner == owner and entry.state != "released":
                if entry.state not in ("running", "waiting"):
                    return "ended"
                self.notes.add(owner)
                return "running" if entry.state == "running" and now < entry.until else "waiting"
        self.notes.add(owner)
        return "unknown"

    def row(self, request: Request, now: int) -> str:
        """The row that *request* meets where nothing is to be aborted."""
        entry = self.find(request.digest, now)
        if entry is None:
            return "anew"
        found = Situation(entry, request, now)
        return next(row for condition, row in ROWS if condition(found))

    def ends(self, entry: Entry, request: Request, row: str) -> int:
        """When the time of *entry* ends, as *request*, which met *row*, is told."""
        return Situation(entry, request, 0).free_at if row == "busy" else entry.until

    def begin(self, request: Request, now: int, fence: int) -> None:
        """Follow *request*; *fence* is the new one, if it leads to one."""
        entry, row = self.find(request.digest, now), self.judge(request, now)
        if row != "conflict" and request.key != request.owner:
            self.aliases[request.owner] = (request.digest, now + request.lease_ms + request.ttl_ms)
        lost, retries = request.lost, 0
        if row in RUNS and row != "anew" and entry is not None:
            lost = Situation(entry, request, now).known_losses + (row == "loss")
            retries = entry.retries if entry.request.owner == request.owner and row != "reopened" else 0
        if row == "aborted":
            self.end_aborted(request, now, fence)
        elif row in NEW_CLAIM:
            self.hold(request, now, fence, lost, retries, blameless=request.park or lost > 0 or request.max_losses == 1)
        elif row == "again" and entry is not None:
            self.hold(request, now, entry.fence, lost, retries, blameless=entry.blameless)
        elif row in ("parked", "poisoned") and entry is not None:
            entry.state = "unknown" if row == "parked" else "failed"
            entry.told_poison = request.token
            entry.lost = Situation(entry, request, now).known_losses + 1
            entry.fence, entry.error, entry.until = fence, "its worker was lost", 0
            entry.changed, entry.expires = now, now + request.ttl_ms

    def end_aborted(self, request: Request, now: int, fence: int) -> None:
        entry, row = self.find(request.digest, now), self.row(request, now)
        lost, retries = request.lost, 0
        if entry is not None and row != "anew":
            lost = Situation(entry, request, now).known_losses + (row in ("loss", "parked", "poisoned"))
            retries = entry.retries if row != "reopened" else 0
        self.entries[request.digest] = Entry(
            request, "failed", fence, now, now + request.ttl_ms, lost=lost, retries=retries, error="it was aborted"
        )
        self.notes.discard(request.owner)

    def hold(self, request: Request, now: int, fence: int, lost: int, retries: int, *, blameless: bool) -> None:
        until = now + request.lease_ms
        self.entries[request.digest] = Entry(
            request, "running", fence, now, until + request.ttl_ms, until, lost, retries, blameless=blameless
        )

    def counts(self, outcome: Outcome, now: int) -> bool:
        entry = self.find(outcome.claim.request.digest, now)
        if entry is None:
            return True
        return entry.fence == outcome.claim.fence and (entry.state != "done" or outcome.ending is Ending.DONE)

    def finish(self, outcome: Outcome, now: int) -> None:
        """Follow *outcome*, which counts."""
        claim, request = outcome.claim, outcome.claim.request
        there = self.find(request.digest, now)
        entry = Entry(request, "released", claim.fence, now, now + request.ttl_ms)
        match outcome.ending:
            case Ending.DONE:
                entry.state, entry.result = "done", outcome.result
            case Ending.FAILED | Ending.ABORTED:
                entry.state, entry.retries = "failed", outcome.retries
                entry.error = "it was aborted" if outcome.ending is Ending.ABORTED else outcome.error
            case Ending.WAITING | Ending.ABANDONED:
                entry.state, entry.error, entry.until = "waiting", outcome.error, now + outcome.due_ms
                entry.retries = outcome.retries if outcome.ending is Ending.WAITING else claim.retries
                entry.expires += outcome.due_ms
        if outcome.ending is Ending.ABORTED:
            self.notes.discard(request.owner)
        if entry.state in ("failed", "waiting"):
            entry.lost = there.lost if there is not None else claim.lost
        self.entries[request.digest] = entry

    def holds(self, claim: Claim, now: int) -> bool:
        entry = self.find(claim.request.digest, now)
        return entry is None or (entry.state == "running" and entry.fence == claim.fence)

    def renew(self, claim: Claim, now: int, *, mark: bool) -> None:
        """Follow the renewal of *claim*, which holds."""
        entry = self.find(claim.request.digest, now)
        if entry is None:
            self.hold(claim.request, now, claim.fence, claim.lost, claim.retries, blameless=False)
        else:
            blameless = entry.blameless and not mark
            self.hold(claim.request, now, claim.fence, entry.lost, entry.retries, blameless=blameless)

    def override(self, digest: str, state: str, result: str, now: int, fence: int) -> None:
        entry = self.entries[digest]
        life = entry.expires - max(entry.changed, entry.until)
        self.entries[digest] = Entry(entry.request, state, fence, now, now + life, result=result)
