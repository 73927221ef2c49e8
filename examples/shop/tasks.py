"""The shop's jobs. Workers run them: ``dramatiq actors examples.shop.tasks``.

Each has the order for its key: a job that runs again sends again, and the copies do not run. Schedulers enqueue the
nightly one: ``python -m periodic examples.shop.tasks``.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from actors import actor, current, enqueue_many
from examples.shop import books, gateway
from examples.shop.models import Line, Order
from periodic import cron

# Seconds that the other outside systems take to answer.
WAREHOUSE, MAIL = 0.005, 0.008

log = logging.getLogger(__name__)


@actor(queue_name="orders", idempotency_key="{order.id}")
def take_order(order: Order) -> None:
    """Pass the order on to payments and warehouse; both are sent for certain before this job is done."""
    follow_ups = [
        charge.message(order.id, order.email, order.total),
        reserve_stock.message(order.id, order.lines),
    ]
    books.sent(order.id, *enqueue_many(follow_ups))
    books.ran(order.id)


@actor(queue_name="payments", idempotency_key="{order_id}")
def charge(order_id: UUID, email: str, amount: Decimal) -> None:
    # A worker can die when the money is taken, and that is not recorded yet: by this key it is taken once all the same.
    paid_at = gateway.pay(order_id, key=current().downstream_key("pay"))
    log.info("%s paid %s EUR", email, amount)
    # The time is the gateway's: with datetime.now() the receipt of a second run would be a conflict.
    books.sent(order_id, send_receipt.send(order_id, email, amount, paid_at=paid_at))
    books.ran(order_id)


@actor(queue_name="warehouse", idempotency_key="{order_id}")
def reserve_stock(order_id: UUID, lines: tuple[Line, ...]) -> None:
    time.sleep(WAREHOUSE)
    log.info("reserved %s", ", ".join(f"{line.quantity} {line.sku}" for line in lines))
    books.ran(order_id)


@actor(queue_name="mail", idempotency_key="{order_id}")
def send_receipt(order_id: UUID, email: str, amount: Decimal, paid_at: datetime) -> None:
    time.sleep(MAIL)
    log.info("told %s that %s EUR were paid on %s", email, amount, paid_at.date())
    books.ran(order_id)


@actor(queue_name="mail", periodic=cron("30 23 * * *", timezone="Europe/Berlin"))
def close_the_day() -> int:
    """Return how many orders are paid; ``periodic history close_the_day`` shows it."""
    return books.payments()
