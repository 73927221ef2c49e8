"""Which attempt a log line belongs to, and what the application has bound when it sent the message."""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Callable, Collection, Mapping
from contextvars import Context, ContextVar, copy_context
from importlib import import_module
from typing import Any

import dramatiq
from dramatiq.middleware import Middleware

from middleware.attempt import attempt_here
from middleware.failure import text_of
from middleware.process import process_name
from middleware.trail import retries_of

# The option of a message with what was bound when it was sent.
OPTION = "context"
# How many characters of a text travel with a message, and are logged of an id or a name.
LONGEST = 200
# What an application names otherwise: lines have these anyhow, and events the last.
TAKEN = frozenset(
    {
        *("timestamp", "level", "logger", "event", "exception"),
        *("message_id", "actor", "queue", "attempt", "worker", "tick", "trace_id", "span_id"),
        *("outcome", "wait_ms", "duration_ms", "version", "key", "error_type", "error", "decided_by", "delay_ms"),
        *("args", "kwargs", "redaction_failed"),
        *("at", "member", "number"),
    }
)

# Imported where it is needed: a process that binds nothing does not wait for it.
_STRUCTLOG = "structlog.contextvars"

log = logging.getLogger(__name__)

_running: ContextVar[dramatiq.MessageProxy | None] = ContextVar("running", default=None)
_refused: set[str] = set()
_NOTHING_BOUND = Context()


class LogContext(Middleware):
    """Lets whoever writes a log line know which attempt it belongs to, in a plain actor and in an async one.

    Formatters ask :func:`attempt_fields`. Where the application has configured structlog, the fields are bound as its
    context variables, too. What an actor binds there is gone when its attempt ends: the thread has other messages next.

    Variables with the names of :attr:`names` that are bound when a message is sent travel with it, through delays,
    retries and replays, and are bound while it runs. They are JSON's scalars; of a text, 200 characters. It stands
    around all middleware that sends what follows an attempt.

    Args:
        names: called for the names of structlog's context variables that travel.
    """

    def __init__(self, *, names: Callable[[], Collection[str]] = tuple) -> None:
        self._names = names

    def before_enqueue(self, broker: dramatiq.Broker, message: dramatiq.Message[Any], delay: int | None) -> None:
        """Note in *message*, when it is sent for the first time, what is bound."""
        names = self._names()
        if not names or OPTION in message.options:
            return
        running = _running.get()
        if running is not None and running.message_id == message.message_id:
            return  # a retry: what its actor has bound is its own
        bound = bound_here()
        carried = _scalars({name: bound[name] for name in names if name in bound})
        if carried:
            message.options[OPTION] = carried

    def before_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Load what binds, where something travels, so that no message waits for it."""
        if self._names():
            import_module(_STRUCTLOG)

    def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        """Bind what *message* has brought."""
        vars(message)["outer_context"] = copy_context() if _has_variables() else _NOTHING_BOUND
        _running.set(message)
        carried: Any = message.options.get(OPTION)
        # Anybody could have put anything there.
        if type(carried) is dict:
            bound = _scalars({name: carried[name] for name in self._names() if name in carried})
            if bound:
                vars(message)["log_context"] = bound
                _bind(bound)
        if _is_structlog_in_use():
            _bind(attempt_fields())

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: dramatiq.MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        """Leave the thread as it was."""
        _end(message)

    def after_skip_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        """Leave the thread as it was."""
        _end(message)


def attempt_fields() -> dict[str, Any]:
    """Return what a log line that is written here says of its attempt; empty where none runs.

    ``message_id``, ``actor``, ``queue``, ``attempt``, its number, and ``worker``; and where they apply ``tick``,
    ``trace_id`` and ``span_id``.
    """
    message = _running.get()
    if message is None:
        return {}
    attempt = attempt_here()
    fields: dict[str, Any] = {
        "message_id": _name(message.message_id),
        "actor": _name(message.actor_name),
        "queue": message.queue_name,
        "attempt": attempt.number if attempt is not None else retries_of(message) + 1,
        "worker": process_name(),
    }
    if (tick := message.options.get("tick")) is not None:
        fields["tick"] = tick
    if (ids := vars(message).get("trace_ids")) is not None:
        fields["trace_id"], fields["span_id"] = ids
    return fields


def note_trace(message: dramatiq.MessageProxy, trace_id: str, span_id: str) -> None:
    """Let log lines that the attempt of *message* writes from now on have these ids, in hexadecimal digits."""
    vars(message)["trace_ids"] = trace_id, span_id
    if _running.get() is message and _is_structlog_in_use():
        _bind({"trace_id": trace_id, "span_id": span_id})


def bound_here() -> dict[str, Any]:
    """Return all of structlog's context variables that are bound here."""
    # While another thread imports it, nothing is bound yet.
    get_contextvars = getattr(sys.modules.get(_STRUCTLOG), "get_contextvars", None)
    return get_contextvars() if get_contextvars is not None else {}


def _end(message: dramatiq.MessageProxy) -> None:
    outer: Context | None = vars(message).pop("outer_context", None)
    if outer is None:
        return  # another hook has kept it from starting
    _running.set(None)
    prefix = getattr(sys.modules.get(_STRUCTLOG), "STRUCTLOG_KEY_PREFIX", None)
    if prefix is None or (outer is _NOTHING_BOUND and not _has_variables()):
        return
    now = copy_context()
    try:
        if now == outer:
            return
    except Exception:
        # Variables of others may have values that can't be compared.
        log.debug("context variables can't be compared", exc_info=True)
    for variable, value in now.items():
        # That is how structlog itself clears them.
        if variable.name.startswith(prefix) and (was := outer.get(variable, ...)) is not value:
            variable.set(was)


def _has_variables() -> bool:
    """Return whether anything was ever bound with structlog in this process; a look takes a tenth of a copy's time."""
    module = sys.modules.get(_STRUCTLOG)
    return bool(getattr(module, "_CONTEXT_VARS", module is not None))


def _name(text: str) -> str:
    return text if text.isascii() and len(text) <= LONGEST else text_of(text, LONGEST)


def _scalars(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of *values* that can travel; name the others once."""
    kept: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, str):
            kept[name] = _name(value)
        elif _is_number(value):
            kept[name] = value
        elif value is not None and name not in _refused:
            _refused.add(name)
            kind = type(value).__name__
            log.warning(
                "context variable %r does not travel with messages: %s is no str, int, float or bool", name, kind
            )
    return kept


def _is_number(value: object) -> bool:
    # Of the exact types: an enum, for example, is an int that does not come back as one.
    if type(value) is float:
        return math.isfinite(value)
    return type(value) is bool or (type(value) is int and abs(value) < 2**63)


def _is_structlog_in_use() -> bool:
    is_configured = getattr(sys.modules.get("structlog"), "is_configured", None)
    return is_configured is not None and is_configured()


def _bind(values: Mapping[str, Any]) -> None:
    import_module(_STRUCTLOG).bind_contextvars(**values)
