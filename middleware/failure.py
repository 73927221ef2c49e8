"""Why a message is not tried again."""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum

import dramatiq
from dramatiq.errors import ActorNotFound

# A message is no log: longer texts are cut, at so many characters.
LONGEST = 2_000
# How many characters of a traceback an idempotency record keeps, for a dead letter that is lost on its way.
LONGEST_KEPT = 4_000
# A longer traceback, in bytes, is not logged: the error's text is.
LONGEST_TRACEBACK = 100_000


class Reason(StrEnum):
    """Why a message is dead-lettered.

    ``EXHAUSTED``: it has failed as often as it may. ``PREDICATE``: its predicate refused another attempt, or could not
    be asked. ``THROWS``: its actor expects this error. ``EXPIRED``: it is older than its ``max_age``. ``CONFLICT``: its
    idempotency key belongs to another message. ``POISON``: its workers were lost. ``UNKNOWN_ACTOR``: no actor has its
    name. ``UNDECODABLE``: it, its arguments or its options can't be read. ``TOO_LARGE``: what follows it can't be sent.
    """

    EXHAUSTED = "exhausted"
    PREDICATE = "predicate"
    THROWS = "throws"
    EXPIRED = "expired"
    CONFLICT = "conflict"
    POISON = "poison"
    UNKNOWN_ACTOR = "unknown_actor"
    UNDECODABLE = "undecodable"
    TOO_LARGE = "too_large"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a message is not tried again.

    Attributes:
        reason: a :class:`Reason`; empty where another middleware has failed the message, and has not said why.
        type: the name of the error's class.
        message: the error's text.
    """

    reason: str
    type: str
    message: str

    @classmethod
    def of(cls, error: BaseException, reason: str = "") -> Failure:
        """Return the failure of a message because of *error*."""
        return cls(reason, type(error).__name__, text_of(error))

    @classmethod
    def from_text(cls, text: str) -> Failure:
        """Return the failure that :meth:`text` was made of; of any other text, one with that message."""
        fields = _fields(text)
        if fields is None:
            return cls("", "Failure", text)
        return cls._of_fields(fields)

    @classmethod
    def noted(cls, options: Mapping[str, object]) -> Failure:
        """Return the failure that :func:`give_up` has noted in the *options* of a message."""
        noted = options.get("failure")
        if isinstance(noted, Mapping):
            return cls._of_fields(noted)
        return cls("", "Failure", str(options.get("traceback", "")))

    @classmethod
    def _of_fields(cls, fields: Mapping[str, object]) -> Failure:
        return cls(*(str(fields.get(name, "")) for name in cls.__slots__))

    def text(self, traceback: str = "") -> str:
        """Return what an idempotency record keeps of it, and of the end of its *traceback*."""
        kept = {"traceback": traceback[-LONGEST_KEPT:]} if traceback else {}
        return json.dumps(asdict(self) | kept)


def traceback_in(text: str) -> str:
    """Return the traceback in what :meth:`Failure.text` has returned; empty where there is none."""
    return str((_fields(text) or {}).get("traceback", ""))


def _fields(text: str) -> Mapping[str, object] | None:
    try:
        fields = json.loads(text)
    except ValueError:
        return None
    return fields if isinstance(fields, Mapping) else None


def text_of(value: object, longest: int = LONGEST) -> str:
    """Return *value* as text of at most *longest* characters that a message can carry; never raise.

    An error's ``__str__`` is code of others, which may raise anything. And a text that is not Unicode, because it names
    a file for example, would keep its message from being published.
    """
    try:
        text = str(value)
    except BaseException as error:
        text = f"(its str() raised {type(error).__name__})"
    return text[:longest].encode("utf-8", "backslashreplace").decode()[:longest]


def is_printable(error: BaseException) -> bool:
    """Return whether a handler of log lines can write *error*: its attributes are code of others."""
    try:
        return len("".join(traceback.format_exception(error)).encode()) <= LONGEST_TRACEBACK
    except Exception:
        return False


def give_up(message: dramatiq.MessageProxy, failure: Failure, *, traceback: str = "") -> None:
    """Mark *message* as failed for good; why is in its options ``failure`` and, for people, ``traceback``."""
    message.options["failure"] = asdict(failure)
    message.options["traceback"] = traceback or failure.message
    message.fail()


def failure_of(message: dramatiq.MessageProxy) -> Failure:
    """Return why *message* has failed for good, as far as anybody has said."""
    error = message._exception
    if error is None or isinstance(message.options.get("failure"), Mapping):
        return Failure.noted(message.options)
    return Failure.of(error, Reason.UNKNOWN_ACTOR if isinstance(error, ActorNotFound) else "")
