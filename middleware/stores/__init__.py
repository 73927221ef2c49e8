"""Where idempotency records are kept: one protocol, and a store for each place."""

from middleware.stores.memory import MemoryStore
from middleware.stores.protocol import (
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

__all__ = [
    "WORKER_LOST",
    "Alias",
    "Answer",
    "Claim",
    "Ending",
    "Kept",
    "MemoryStore",
    "Outcome",
    "Record",
    "Refused",
    "Request",
    "State",
    "Store",
    "StoreUnavailable",
    "Verdict",
    "pages",
]
