"""What an error tracker is to be told of: each message that has failed for good, and none of its attempts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, cast

from dramatiq.errors import ActorNotFound

Event = TypeVar("Event", bound=Mapping[str, Any])

# What events can be searched by. The key is not: it may name a person.
TAGS = ("actor", "queue", "reason", "message_id", "version")


def once_per_failure(event: Event, hint: Mapping[str, Any]) -> Event | None:
    """Return *event* if Sentry is to have it: ``sentry_sdk.init(before_send=once_per_failure)``.

    It drops what Sentry's own Dramatiq integration and Dramatiq's worker say of each attempt, which may be tried again.
    The report of :class:`~middleware.dead_letter.DeadLetter` stays, for each message that has failed for good: grouped
    by actor and kind of error, with tags, and with all that is known in the context ``dead_letter``. It stays once,
    whether the error was raised in this process, or the message can't be decoded, is unknown, or has cost its workers.

    Everything else stays as it is.

    Args:
        event: what Sentry is about to send.
        hint: what it was made of.
    """
    record = hint.get("log_record")
    letter = getattr(record, "dead_letter", None)
    if isinstance(letter, Mapping):
        _tell(cast("dict[str, Any]", event), letter)
        return event
    return None if _is_of_an_attempt(event, hint) else event


def _tell(event: dict[str, Any], letter: Mapping[str, Any]) -> None:
    """Say in *event* what its dead *letter* does."""
    tags = {name: letter[name] for name in TAGS if letter.get(name)}
    event["tags"] = {**dict(event.get("tags") or {}), **tags}
    event["contexts"] = {**(event.get("contexts") or {}), "dead_letter": dict(letter)}
    event["extra"] = {name: value for name, value in (event.get("extra") or {}).items() if name != "dead_letter"}
    event["fingerprint"] = [letter.get("actor") or letter.get("queue"), letter.get("fingerprint")]


def _is_of_an_attempt(event: Mapping[str, Any], hint: Mapping[str, Any]) -> bool:
    """Return whether *event* says no more than that an attempt has failed."""
    logger = getattr(hint.get("log_record"), "name", "")
    if logger.startswith("dramatiq.worker.ConsumerThread"):
        return isinstance((hint.get("exc_info") or (None, None))[1], ActorNotFound)
    return logger == "dramatiq.worker.WorkerThread" or "dramatiq" in _mechanisms(event)


def _mechanisms(event: Mapping[str, Any]) -> Iterator[str]:
    """Yield by what the errors of *event* were caught."""
    for error in (event.get("exception") or {}).get("values") or ():
        yield (error.get("mechanism") or {}).get("type", "")
