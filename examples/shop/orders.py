"""The shop's application: it takes orders, and workers do the rest. Try ``python -m examples.shop.orders 1000``."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from uuid import uuid4

from actors import enqueue_many
from examples.shop import books
from examples.shop.models import Line, Order
from examples.shop.tasks import take_order

PRICES = {"tea": Decimal("4.20"), "pot": Decimal("31.00"), "cup": Decimal("7.95")}


def place(order: Order) -> None:
    """Take an order from the checkout; when this returns, it can't get lost, and the customer can be told."""
    books.sent(order.id, take_order.send(order))


def place_all(orders: Sequence[Order]) -> None:
    """Take a file of orders from a marketplace: many times faster than one by one, and as safe."""
    messages = enqueue_many(take_order.message(order) for order in orders)
    for order, message in zip(orders, messages, strict=True):
        books.sent(order.id, message)


def customers(count: int) -> Iterator[Order]:
    for number in range(count):
        skus = random.sample(sorted(PRICES), k=2)
        lines = tuple(Line(sku, random.randint(1, 6), PRICES[sku]) for sku in skus)
        yield Order(uuid4(), f"customer{number}@shop.example", datetime.now(UTC), lines)


if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1].isdecimal():
        sys.exit("usage: python -m examples.shop.orders NUMBER")
    orders = list(customers(int(sys.argv[1])))
    half = len(orders) // 2
    for order in orders[:half]:
        place(order)
    place_all(orders[half:])
