"""How workers and commands write their log lines: for people, or one JSON object a line."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any

# The attributes of records that have fields of their own.
_FIELDS = ("attempt", "dead_letter")
# What Dramatiq's worker says of an attempt, with its arguments; the line of the attempt says more, and not those.
_OF_AN_ATTEMPT = ("Failed to process message", "Message %s was skipped")


def write_json() -> None:
    """From now on let the handlers of the root logger write one JSON object a line.

    Each has ``timestamp`` (UTC), ``level``, ``logger`` and ``event``. The line of an attempt or of a dead letter has
    its fields beside them; an error has its traceback in ``exception``.
    """
    # Here, so that only a process that writes JSON waits for it at start.
    import structlog

    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.stdlib.ExtraAdder(_FIELDS),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _spread,
            structlog.processors.JSONRenderer(ensure_ascii=True, default=str),
        ],
    )
    for handler in logging.getLogger().handlers:
        handler.setFormatter(formatter)


def say_once() -> None:
    """From now on let Dramatiq's worker say nothing of an attempt, which has a line of its own."""
    logging.getLogger("dramatiq.worker.WorkerThread").addFilter(_is_not_of_an_attempt)


def _spread(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Put the fields of an attempt or a dead letter beside the others."""
    for name in _FIELDS:
        fields = line.pop(name, None)
        if isinstance(fields, dict):
            line["message"], line["event"] = line.get("event"), name
            line.update({field: value for field, value in fields.items() if value not in (None, "")})
    return line


def _is_not_of_an_attempt(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(_OF_AN_ATTEMPT)
