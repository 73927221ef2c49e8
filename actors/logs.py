"""How workers and commands write their log lines: for people, or one JSON object a line."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeGuard

from middleware.attempt_log import LONGEST_NAME, Write, fields_of, printable_name
from middleware.attempt_log import log as attempts
from middleware.ended import Ended
from middleware.log_context import attempt_fields, bound_here
from middleware.process import process_name

# The attributes of records that have fields of their own.
_FIELDS = ("attempt", "dead_letter")
# What Dramatiq's worker says of an attempt, with its arguments; the line of the attempt says more, and not those.
_OF_AN_ATTEMPT = ("Failed to process message", "Message %s was skipped")

_json_handlers: list[logging.Handler] = []


def write_json() -> None:
    """From now on let the handlers of the root logger write one JSON object a line.

    Each has ``timestamp`` (UTC), ``level``, ``logger`` and ``event``. The line of an attempt or of a dead letter has
    its fields beside them; one that is written while an attempt runs says which, and has structlog's context variables;
    an error has its traceback in ``exception``.
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
            _say_whose,
            _spread,
            structlog.processors.JSONRenderer(ensure_ascii=True, default=str),
        ],
    )
    for handler in logging.getLogger().handlers:
        handler.setFormatter(formatter)
    _json_handlers[:] = logging.getLogger().handlers


def write_text() -> None:
    """From now on let the handlers of the root logger end each line with the attempt that has written it.

    Handlers with a formatter that is not the logging module's own stay as they are.
    """
    for handler in logging.getLogger().handlers:
        formatter = handler.formatter or logging.Formatter()
        if type(formatter) is logging.Formatter:
            handler.setFormatter(WithContext(formatter))


class WithContext(logging.Formatter):
    """Writes lines as another formatter does, with what is known of the attempt at the end: ``name=value``.

    Args:
        formatter: the other one.
    """

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__(formatter._fmt, formatter.datefmt)
        self._style = formatter._style

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """Return the line of *record*, without its traceback."""
        line = super().formatMessage(record)
        if any(isinstance(vars(record).get(name), dict) for name in _FIELDS):
            return line
        return " ".join([line, *(f"{name}={_text(value)}" for name, value in _context().items())])


@contextmanager
def together() -> Iterator[Write | None]:
    """Write at once, at the end of the block, what the root logger's stream handlers are given in it.

    A write and a flush a line cost more than the line, and let go of the interpreter each time.

    Yields:
        What writes the line of an attempt past the logging module, at a fraction of the cost; None where that would
        make a difference: nobody has asked for JSON, or there is a handler or a filter of somebody else's.
    """
    handlers = logging.getLogger().handlers
    streams = [handler for handler in handlers if _writes_a_stream(handler)]
    buffers = [io.StringIO() for _ in streams]
    outer = [_swap(handler, buffer) for handler, buffer in zip(streams, buffers, strict=True)]
    is_ours = handlers == _json_handlers == streams and _is_plain(attempts) and not any(map(_filters, streams))

    def write(ended: Ended, version: str) -> None:
        line = line_of(ended, version)
        for buffer in buffers:
            buffer.write(line)

    try:
        yield write if is_ours else None
    finally:
        for handler, buffer, stream in zip(streams, buffers, outer, strict=True):
            _swap(handler, stream, write=buffer)


def say_once() -> None:
    """From now on let Dramatiq's worker say nothing of an attempt, which has a line of its own."""
    logging.getLogger("dramatiq.worker.WorkerThread").addFilter(_is_not_of_an_attempt)


def _context() -> dict[str, Any]:
    return {**bound_here(), **attempt_fields()}


def _text(value: Any) -> str:
    if isinstance(value, dict) and "schedule" in value and "time" in value:
        return f"{value['schedule']}@{value['time']}"
    return str(value)


def _say_whose(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Say of which attempt a line is that is not about one."""
    if not any(isinstance(line.get(name), dict) for name in _FIELDS):
        for name, value in _context().items():
            line.setdefault(name, value)
    return line


def _spread(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Put the fields of an attempt or a dead letter beside the others."""
    for name in _FIELDS:
        fields = line.get(name)
        if isinstance(fields, dict):
            del line[name]
            line["event"] = name
            line.update({field: value for field, value in fields.items() if value not in (None, "")})
    return line


def line_of(ended: Ended, version: str) -> str:
    """Return what the formatter makes of an attempt at INFO, at a fraction of the cost."""
    second = int(ended.at)
    begin = f'{_HEAD}{_iso(second)}.{int((ended.at - second) * 1e6):06d}Z", '
    message = ended.message
    message_id = message.message_id
    if not vars(message).keys().isdisjoint(_MORE) or "tick" in message.options or len(message_id) > LONGEST_NAME:
        return f"{begin}{json.dumps(fields_of(ended, version), default=str)[1:]}\n"
    return (
        f'{begin}"message_id": {_quoted(printable_name(message_id))}, '
        f"{_place(message.actor_name, message.queue_name)}, "
        f'"attempt": {ended.number}, "outcome": "{ended.outcome}", "wait_ms": {ended.wait_ms}, '
        f'"duration_ms": {ended.duration_ms}, {_maker(process_name(), version)}{_keyed(ended.key)}}}\n'
    )


_quoted = json.encoder.encode_basestring_ascii
# What few messages have, and makes lines longer.
_MORE = ("trace_ids", "log_context")


def _keyed(key: str | None) -> str:
    return "" if key is None else f', "key": {_quoted(key)}'


@lru_cache(maxsize=1_000)
def _place(actor: str, queue: str) -> str:
    return json.dumps({"actor": printable_name(actor), "queue": queue})[1:-1]


@lru_cache(maxsize=2)
def _maker(worker: str, version: str) -> str:
    return json.dumps({"worker": worker} | ({"version": version} if version else {}))[1:-1]


_HEAD = f'{{"event": "attempt", "level": "info", "logger": "{attempts.name}", "timestamp": "'


@lru_cache(maxsize=2)
def _iso(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()[:-6]


def _is_plain(logger: logging.Logger) -> bool:
    return logger.propagate and not logger.handlers and not logger.filters and not logger.disabled


def _filters(handler: logging.Handler) -> bool:
    return bool(handler.filters) or handler.level > logging.INFO


def _writes_a_stream(handler: logging.Handler) -> TypeGuard[logging.StreamHandler[Any]]:
    return type(handler) is logging.StreamHandler


def _swap(handler: logging.StreamHandler[Any], stream: Any, *, write: io.StringIO | None = None) -> Any:
    """Let *handler* write to *stream*, and there first what was gathered; return what it has written to until now."""
    handler.acquire()
    try:
        old, handler.stream = handler.stream, stream
        if write is not None and (text := write.getvalue()):
            try:
                stream.write(text)
                handler.flush()
            except Exception:
                handler.handleError(logging.makeLogRecord({"msg": "%d characters were not written", "args": len(text)}))
        return old
    finally:
        handler.release()


def _is_not_of_an_attempt(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(_OF_AN_ATTEMPT)
