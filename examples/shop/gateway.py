"""The shop's payment gateway: as a real one does, it takes an idempotency key."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from uuid import UUID

from examples.shop import books

# Seconds that it takes to answer.
ANSWER = 0.008


def pay(order_id: UUID, *, key: str) -> datetime:
    """Take the money and return when it was taken; a repeated *key* takes nothing, and returns the same."""
    time.sleep(ANSWER)
    with books.database() as db:
        row = (key, str(order_id), datetime.now(UTC).isoformat())
        db.execute("INSERT OR IGNORE INTO payment VALUES (?, ?, ?)", row)
        (paid_at,) = db.execute("SELECT paid_at FROM payment WHERE key = ?", (key,)).fetchone()
    return datetime.fromisoformat(paid_at)
