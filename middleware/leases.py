"""The claims and the seats that this process holds, and the thread that renews them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from middleware.stores import Claim, SeatRequest, Store, StoreUnavailable

log = logging.getLogger(__name__)

# How soon a renewal that failed is tried again, at most.
AGAIN_AFTER_S = 1.0


@dataclass(slots=True, eq=False)
class Lease:
    """A claim of this process.

    Attributes:
        claim: what was claimed.
        good_until: until when nobody else can have taken the key over, by this machine's monotonic clock, in seconds.
    """

    claim: Claim
    good_until: float

    @property
    def is_good(self) -> bool:
        """Whether it holds for certain; it may hold although this is False."""
        return time.monotonic() < self.good_until


class Leases:
    """Holds the leases of what runs here and of what waits to run; renews them all in one call, and seats in another.

    Args:
        store: called for the store.
    """

    def __init__(self, store: Callable[[], Store]) -> None:
        self._store = store
        self._held: dict[str, Lease] = {}
        self._unstarted: dict[str, Lease] = {}
        self._seats: dict[str, SeatRequest] = {}
        self._every_s = float("inf")
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def hold(self, claim: Claim, *, asked_at: float) -> Lease:
        """Return the lease of *claim*, for which the store was asked at *asked_at*; renew it from now on."""
        lease_s = claim.request.lease_ms / 1000
        lease = Lease(claim, asked_at + lease_s)
        self._held[claim.request.token] = self._unstarted[claim.request.token] = lease
        self._hurry(lease_s)
        return lease

    def hold_seat(self, seat: SeatRequest) -> None:
        """Renew *seat* from now on."""
        self._seats[seat.token] = seat
        self._hurry(seat.lease_ms / 1000)

    def end_seat(self, seat: SeatRequest) -> None:
        """Renew *seat* no more."""
        self._seats.pop(seat.token, None)

    def start(self, lease: Lease) -> bool:
        """Return whether *lease* is the caller's to start, or to give up; true once for each lease."""
        return self._unstarted.pop(lease.claim.request.token, None) is not None

    def end(self, lease: Lease) -> None:
        """Renew *lease* no more."""
        token = lease.claim.request.token
        self._unstarted.pop(token, None)
        self._held.pop(token, None)

    def renew(self) -> None:
        """Renew all leases, in one call.

        Raises:
            StoreUnavailable: none may have been renewed.
        """
        leases = list(self._held.values())
        asked_at = time.monotonic()
        held = self._store().renew([lease.claim for lease in leases])
        for lease, is_held in zip(leases, held, strict=True):
            if is_held:
                lease.good_until = asked_at + lease.claim.request.lease_ms / 1000
            elif self._held.pop(lease.claim.request.token, None) is not None:
                lease.good_until = asked_at
                request = lease.claim.request
                log.warning("message %s: the lease of its key %r is another's now", request.owner, request.key)

        if seats := list(self._seats.values()):
            for seat, is_held in zip(seats, self._store().keep_seats(seats), strict=True):
                if seat.token not in self._seats:
                    # Left while it was renewed: it may have come back by that.
                    self._store().leave_seat(seat, None)
                elif not is_held and self._seats.pop(seat.token, None) is not None:
                    log.warning("message %s: its seat is another's now; more run at once than may", seat.owner)

    def begin(self) -> None:
        """Start the thread that renews."""
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="actors-leases", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread."""
        self._stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(AGAIN_AFTER_S)
            self._thread = None

    def _hurry(self, lease_s: float) -> None:
        if lease_s / 3 < self._every_s:
            self._every_s = lease_s / 3
            self._wake.set()

    def _run(self) -> None:
        failing = False
        while not self._stopping:
            every_s = min(self._every_s, 60.0)
            if self._wake.wait(min(every_s, AGAIN_AFTER_S) if failing else every_s):
                self._wake.clear()
                continue
            try:
                self.renew()
            except StoreUnavailable as error:
                if not failing:
                    log.warning("leases can't be renewed: %s", error)
                failing = True
            except Exception:
                # Jobs depend on this thread.
                log.exception("unexpected error while renewing leases")
            else:
                failing = False
