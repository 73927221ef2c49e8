from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path

from pydantic import BaseModel

from actors import actor


class Receipt(BaseModel):
    order: int
    amount: Decimal


@actor
def write_receipt(receipt: Receipt) -> None:
    folder = Path(os.environ.get("RECEIPTS", "receipts"))
    folder.mkdir(exist_ok=True)
    (folder / f"{receipt.order}.txt").write_text(f"{receipt.amount:.2f} EUR")
