"""What the shop's jobs work on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Line:
    """Some of one article, at the price of one."""

    sku: str
    quantity: int
    price: Decimal


@dataclass(frozen=True, slots=True)
class Order:
    id: UUID
    email: str
    placed_at: datetime
    lines: tuple[Line, ...]

    @property
    def total(self) -> Decimal:
        return sum((line.quantity * line.price for line in self.lines), Decimal())
