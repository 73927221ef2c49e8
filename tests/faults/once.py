"""Actors whose effects add up: to run one twice is to be found out.

Their names are theirs alone, since unit tests declare a ``charge`` in the same process. They append a line when they
begin and one when they end to the file that ``EFFECTS`` names, where no fault reaches; a line of less than a page is
written whole or not at all.
"""

import os
import time
from typing import Any

from dramatiq.middleware import CurrentMessage

from actors import actor
from middleware.attempt import current

# How often ``stumble`` is tried.
ATTEMPTS = 3


@actor(actor_name="once_count", max_retries=0)
def count(key: str, pause_ms: int = 0) -> int:
    """Take *pause_ms* milliseconds for *key*, and return the fence of this run; copies of a message are one."""
    return effect(key, pause_ms)


@actor(actor_name="once_charge", max_retries=0, idempotency_key="{key}")
def charge(key: str, pause_ms: int = 0) -> int:
    """Do what ``count`` does; messages with the same key are one."""
    return effect(key, pause_ms)


@actor(actor_name="once_falter")
def falter(key: str, pause_ms: int) -> int:
    """Do what ``count`` does, and then fail, unless an earlier run may have come as far."""
    fence = effect(key, 0 if current().maybe_ran else pause_ms)
    if not current().maybe_ran:
        raise RuntimeError("the first run fails")
    return fence


@actor(actor_name="once_stumble", max_retries=5, min_backoff=50, max_backoff=200)
def stumble(key: str, pause_ms: int = 0) -> None:
    """Fail twice, and then succeed; each attempt is an effect of its own, ``KEY#NUMBER``."""
    number = current().number
    effect(f"{key}#{number}", pause_ms)
    if number < ATTEMPTS:
        raise RuntimeError(f"attempt {number} fails")


@actor(
    actor_name="once_end",
    max_retries=1,
    min_backoff=50,
    on_success="once_succeeded",
    on_failure="once_failed",
    on_retry_exhausted="once_exhausted",
)
def end(key: str, pause_ms: int) -> None:
    """Fail once, and then succeed, or fail for good where the key begins with ``bad``."""
    time.sleep(pause_ms / 1000)
    if key.startswith("bad") or current().number == 1:
        raise RuntimeError("the end of an attempt")


@actor(actor_name="once_second", max_retries=0)
def second(key: str, pause_ms: int = 0) -> int:
    """Fail for good; do what ``count`` does when it is replayed."""
    if not current().message.options.get("replays"):
        raise RuntimeError("not before it is replayed")
    return effect(key, pause_ms)


@actor(actor_name="once_succeeded", max_retries=0)
def succeeded(message: dict[str, Any], result: None) -> None:
    """Have the effect ``succeeded:KEY``, of the message's key."""
    effect(f"succeeded:{message['args'][0]}", 0)


@actor(actor_name="once_failed", max_retries=0)
def failed(message: dict[str, Any], error: dict[str, str]) -> None:
    """Have the effect ``failed:KEY:REASON``."""
    effect(f"failed:{message['args'][0]}:{error['reason']}", 0)


@actor(actor_name="once_exhausted", max_retries=0)
def exhausted(message: dict[str, Any], limits: dict[str, int]) -> None:
    """Have the effect ``exhausted:KEY:RETRIES``."""
    effect(f"exhausted:{message['args'][0]}:{limits['retries']}", 0)


ACTORS = (count, charge, falter, stumble, end, second, succeeded, failed, exhausted)


def effect(key: str, pause_ms: int) -> int:
    """Begin the work of *key*, and end it after *pause_ms* milliseconds; return the fence of this run."""
    _note("begin", key)
    time.sleep(pause_ms / 1000)
    _note("end", key)
    return current().fence


def _note(event: str, key: str) -> None:
    attempt = current()
    delivery = CurrentMessage.get_current_message()
    redelivered = getattr(delivery, "redelivered", False)
    words = (event, key, attempt.fence, attempt.maybe_ran, attempt.message.message_id, os.getpgid(0), redelivered)
    descriptor = os.open(os.environ["EFFECTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, f"{' '.join(map(str, words))} {time.time()}\n".encode())
    finally:
        os.close(descriptor)
