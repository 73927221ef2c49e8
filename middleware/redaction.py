"""What a log line may say of a message: the application's own rule."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

# Takes the fields of a line, and returns those to write; with None, those that it was given, as it has left them.
Redact = Callable[[dict[str, Any]], dict[str, Any] | None]

# What may hold an application's own data; not written where its rule fails.
PRIVATE = frozenset({"args", "kwargs", "error", "exception", "key"})
# Where it does, the class of its error.
FAILED = "redaction_failed"


def redacted(
    fields: dict[str, Any], error: BaseException | None, redact: Redact
) -> tuple[dict[str, Any], BaseException | None]:
    """Return *fields* as *redact* lets them be written, and *error* where its traceback may be written as it is.

    *redact* sees the traceback as the field ``exception``; it stays there if it has been changed. Where *redact* fails
    the line is written all the same: without what may be private, and with ``redaction_failed``.
    """
    told = "" if error is None else "".join(traceback.format_exception(error)).rstrip()
    given = {**fields, "exception": told} if told else dict(fields)
    try:
        kept: Any = redact(given)
        if kept is None:
            kept = given
        if not isinstance(kept, dict) or not all(isinstance(name, str) for name in kept):
            raise TypeError("a redaction returns a dict whose keys are names of fields, or None")
    except Exception as failure:
        known = {name: value for name, value in fields.items() if name not in PRIVATE}
        return {**known, FAILED: type(failure).__name__}, None
    if told and kept.get("exception") == told:
        return {name: value for name, value in kept.items() if name != "exception"}, error
    return kept, None
