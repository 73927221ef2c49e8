from __future__ import annotations

from decimal import Decimal

from django.conf import settings

from actors import actor


@actor
def write_receipt(order: int, amount: Decimal) -> None:
    settings.RECEIPTS.mkdir(exist_ok=True)
    (settings.RECEIPTS / f"{order}.txt").write_text(f"{amount:.2f} EUR")
