"""Dead letters that are about to be dropped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from actors.checks.finding import Finding, count, warning
from actors.dead_letters.stock import HEADS, SOON_MS, Stock
from middleware.letter import now_ms


def check_expiry(stocks: Iterable[Stock]) -> Iterator[Finding]:
    """Say which queues have dead letters that expire within a day; the first of each are looked at."""
    until = now_ms() + SOON_MS
    for stock in stocks:
        if soon := sum(expires < until for expires in stock.expiring):
            more = " or more" if soon >= HEADS else ""
            yield warning(
                "dead-letters",
                stock.queue,
                f"{count(soon, 'dead letter')}{more} will be dropped within 24 hours",
                "replay them, or keep them in a file: actors dead export",
            )
