"""How a record keeps the error of an attempt."""

from __future__ import annotations

import json
from collections.abc import Mapping

# A record is no log: longer messages are cut, at so many characters.
LONGEST = 2_000


def text_of(error: BaseException) -> str:
    """Return what a record keeps of *error*."""
    return json.dumps({"type": type(error).__name__, "message": str(error)[:LONGEST]})


def error_of(text: str) -> Exception:
    """Return an error with the name and the message of the one that *text* was made of."""
    try:
        fields = json.loads(text)
    except ValueError:
        fields = None
    if not isinstance(fields, Mapping):
        fields = {"type": "Failure", "message": text}
    kind: type[Exception] = type(str(fields.get("type", "Failure")), (Exception,), {})
    return kind(fields.get("message", ""))
