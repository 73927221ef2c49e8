"""The jobs. Declaring them takes no application; when they run, it is ``current_app``."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from flask import current_app

from actors import actor


@actor
def write_receipt(order: int, amount: Decimal) -> None:
    folder = Path(current_app.config["RECEIPTS"])
    folder.mkdir(exist_ok=True)
    (folder / f"{order}.txt").write_text(f"{amount:.2f} EUR")
