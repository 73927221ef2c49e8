"""Where a page of records ends, and the next begins."""

from __future__ import annotations

from middleware.stores.protocol import Record


def after_record(record: Record) -> str:
    """Return the cursor of what follows *record*, in the order of expiry and digest."""
    return f"{record.expires} {record.digest}"


def place_of(after: str) -> tuple[int, str]:
    """Return the expiry and the digest that the cursor *after* names.

    Raises:
        ValueError: it is no cursor.
    """
    expires, _, digest = after.partition(" ")
    return (int(expires), digest) if after else (0, "")
