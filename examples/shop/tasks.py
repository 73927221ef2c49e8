"""The shop's jobs. Workers run them: ``dramatiq actors examples.shop.tasks``."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from actors import actor, enqueue_many
from examples.shop import books
from examples.shop.models import Line, Order

# Seconds that each of the outside systems takes to answer.
GATEWAY, WAREHOUSE, MAIL = 0.008, 0.005, 0.008

log = logging.getLogger(__name__)


@actor(queue_name="orders")
def take_order(order: Order) -> None:
    """Pass the order on to payments and warehouse; both are confirmed by RabbitMQ before this job is done."""
    follow_ups = [
        charge.message(order.id, order.email, order.total),
        reserve_stock.message(order.id, order.lines),
    ]
    books.sent(order.id, *enqueue_many(follow_ups))
    books.ran(order.id)


@actor(queue_name="payments")
def charge(order_id: UUID, email: str, amount: Decimal) -> None:
    time.sleep(GATEWAY)
    log.info("%s paid %s EUR", email, amount)
    books.sent(order_id, send_receipt.send(order_id, email, amount, paid_at=datetime.now(UTC)))
    books.ran(order_id)


@actor(queue_name="warehouse")
def reserve_stock(order_id: UUID, lines: tuple[Line, ...]) -> None:
    time.sleep(WAREHOUSE)
    log.info("reserved %s", ", ".join(f"{line.quantity} {line.sku}" for line in lines))
    books.ran(order_id)


@actor(queue_name="mail")
def send_receipt(order_id: UUID, email: str, amount: Decimal, paid_at: datetime) -> None:
    time.sleep(MAIL)
    log.info("told %s that %s EUR were paid on %s", email, amount, paid_at.date())
    books.ran(order_id)
