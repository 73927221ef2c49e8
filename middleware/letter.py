"""What a dead letter says of the end of its message."""

from __future__ import annotations

import hashlib
import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import dramatiq
from dramatiq.errors import DecodeError

from middleware.failure import Failure, Reason, text_of
from middleware.trail import MOST, retries_of, trail_of

_ENDS = uuid.UUID("5b0f8a0c-7a0e-5d0a-8f0b-0c6a4b0f6f5e")
# How many characters of an error travel in a header, where a traceback would not fit.
LONGEST_ERROR = 500
# And of an id, a key or a name: RabbitMQ closes the connection of who sends more headers than fit into a frame.
LONGEST_NAME = 1_000

# "File "…/shop/tasks.py", line 12, in charge": the file, and the function.
_FRAME = re.compile(r'File "(?P<file>[^"]+)", line \d+, in (?P<function>\S+)')
# What differs between two errors of one kind: numbers, ids, quoted values.
_VARIABLE = re.compile(r"'[^']*'|\"[^\"]*\"|\b0x[0-9a-f]+\b|\b[0-9a-f]{8,}(?:-[0-9a-f]{4,}){0,4}\b|\d+", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What a dead letter says of the end of its message, without a look into its body.

    Times are milliseconds since the Unix epoch, 0 where they are not known.

    Attributes:
        id: names this end of the message; all copies of one end have the same.
        message_id: the message's id; empty where it has none.
        actor: its actor; empty where its body can't be decoded.
        queue: the logical queue.
        reason: a :class:`~middleware.failure.Reason`; empty where nobody has said.
        error_type: the name of the last error's class.
        error: its text, cut.
        fingerprint: the same for all errors of one kind, raised in one place.
        key: its idempotency key; empty where it has none.
        attempts: how often it was tried.
        replays: how often it was replayed before this end.
        enqueued: when it was sent, or replayed.
        first: when its first attempt failed.
        died: when it ended.
        worker: the host and process id of the worker.
        version: of the application that the worker ran.
    """

    id: str
    message_id: str
    queue: str
    reason: str
    error_type: str
    error: str
    fingerprint: str
    died: int
    actor: str = ""
    key: str = ""
    attempts: int = 0
    replays: int = 0
    enqueued: int = 0
    first: int = 0
    worker: str = ""
    version: str = ""

    @classmethod
    def of(
        cls,
        message: dramatiq.Message[Any],
        failure: Failure,
        *,
        queue: str,
        key: str = "",
        died: int = 0,
        worker: str = "",
        version: str = "",
    ) -> Letter:
        """Return what there is to say of *message*, which has ended with *failure*."""
        trail = trail_of(message)
        replays = replays_of(message)
        numbers = [each["attempt"] for each in trail if type(each.get("attempt")) is int]
        times = [_time_of(each.get("at")) for each in trail]
        return cls(
            id=_id_of(f"{message.message_id}\n{replays}"),
            message_id=_name(message.message_id),
            queue=_name(queue),
            reason=_name(failure.reason),
            error_type=_name(failure.type),
            error=text_of(failure.message, LONGEST_ERROR),
            fingerprint=fingerprint_of(failure, str(message.options.get("traceback", ""))),
            died=died or now_ms(),
            actor=_name(message.actor_name),
            key=_name(key),
            attempts=min(max([retries_of(message), *numbers]), MOST),
            replays=replays,
            enqueued=_time_of(message.message_timestamp),
            first=next(filter(None, times), 0),
            worker=_name(worker),
            version=_name(version),
        )

    @classmethod
    def of_body(
        cls,
        body: bytes,
        error: BaseException,
        *,
        queue: str,
        message_id: str | bytes = "",
        died: int = 0,
        worker: str = "",
        version: str = "",
    ) -> Letter:
        """Return what there is to say of a *body* that can't be decoded because of *error*."""
        failure, name = Failure.of(error, Reason.UNDECODABLE), _name(message_id)
        return cls(
            id=_id_of(f"{queue}\n{name}\n{hashlib.sha256(body).hexdigest()}"),
            message_id=name,
            queue=_name(queue),
            reason=failure.reason,
            error_type=_name(failure.type),
            error=text_of(failure.message, LONGEST_ERROR),
            fingerprint=fingerprint_of(failure, ""),
            died=died or now_ms(),
            worker=_name(worker),
            version=_name(version),
        )

    @classmethod
    def from_header(cls, header: object) -> Letter | None:
        """Return the letter that :meth:`header` was made of; None of anything else."""
        if not isinstance(header, Mapping):
            return None
        values: dict[str, Any] = {}
        for each in fields(cls):
            value, kind = header.get(each.name, each.default), int if each.type == "int" else str
            if not isinstance(value, kind) or isinstance(value, bool):
                return None
            values[each.name] = kind(value)  # pika has a subclass of int for those of 64 bits
        return cls(**values)

    def header(self) -> dict[str, str | int]:
        """Return it as a table for a header."""
        return asdict(self)


def read_letter(body: bytes, *, queue: str, message_id: str | bytes = "", died: int = 0) -> Letter:
    """Return what *body*, a dead letter that somebody else has put there, says by itself.

    Plain Dramatiq and RabbitMQ's own dead-lettering add nothing to a message.
    """
    try:
        message = dramatiq.Message.decode(body)
        return Letter.of(message, Failure.noted(message.options), queue=queue, died=died)
    except (DecodeError, TypeError, AttributeError) as error:
        return Letter.of_body(body, error, queue=queue, message_id=message_id, died=died)


def replays_of(message: dramatiq.Message[Any]) -> int:
    """Return how often *message* has been replayed; what another producer may have put there is none."""
    replays = message.options.get("replays")
    return replays if type(replays) is int and 0 <= replays <= MOST else 0


def replayed(message: dramatiq.Message[Any], *, now: int) -> dict[str, Any]:
    """Return the fields of *message* as it is sent again: with its id and its key, and without its failures.

    Args:
        message: a dead letter.
        now: the time, in milliseconds since the Unix epoch, from which its age counts.
    """
    options = {name: value for name, value in message.options.items() if name not in _OF_AN_END}
    return {"options": options | {"replays": replays_of(message) + 1}, "message_timestamp": now}


# What attempts leave in the options of a message.
_OF_AN_END = frozenset({"attempts", "due", "failure", "requeue_timestamp", "retries", "suspect", "traceback"})


def fingerprint_of(failure: Failure, traceback: str) -> str:
    """Return 16 hexadecimal digits that errors of one kind share.

    The kind is the error's class with the functions that its traceback goes through, whatever their line numbers and
    folders are; without a traceback, its class and its text without numbers, ids and quoted values. It is how error
    trackers group.
    """
    frames = [f"{'/'.join(found['file'].split('/')[-2:])}:{found['function']}" for found in _FRAME.finditer(traceback)]
    kind = [failure.type, *(frames or [_VARIABLE.sub("…", failure.message)])]
    return hashlib.sha256("\n".join(kind).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def now_ms() -> int:
    """Return the time in milliseconds since the Unix epoch."""
    return time.time_ns() // 1_000_000


def _name(text: str | bytes) -> str:
    # pika leaves as bytes what is no UTF-8.
    return text_of(text.decode("utf-8", "backslashreplace") if isinstance(text, bytes) else text, LONGEST_NAME)


def _time_of(value: object) -> int:
    """Return *value* where it is a time that fits into a header, else 0."""
    return value if type(value) is int and 0 <= value < 2**63 else 0


def _id_of(text: str) -> str:
    # A message of others may have an id that is no Unicode, which uuid5 refuses.
    return str(uuid.uuid5(_ENDS, text.encode("utf-8", "backslashreplace").decode()))
