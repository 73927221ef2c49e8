"""Where idempotency records are kept: one protocol, and a store for each place."""

from middleware.stores.memory import MemoryStore
from middleware.stores.notes import Abort, Notes
from middleware.stores.protocol import (
    ABORTED,
    WORKER_LOST,
    Alias,
    Answer,
    Claim,
    Ending,
    Kept,
    Outcome,
    Record,
    Refused,
    Request,
    State,
    Store,
    StoreUnavailable,
    Verdict,
    pages,
)
from middleware.stores.seats import SeatAnswer, SeatRequest, Seats

__all__ = [
    "ABORTED",
    "WORKER_LOST",
    "Abort",
    "Alias",
    "Answer",
    "Claim",
    "Ending",
    "Kept",
    "MemoryStore",
    "Notes",
    "Outcome",
    "Record",
    "Refused",
    "Request",
    "SeatAnswer",
    "SeatRequest",
    "Seats",
    "State",
    "Store",
    "StoreUnavailable",
    "Verdict",
    "pages",
]
