"""Actors whose messages fail, each for a reason of its own, and some whose messages don't."""

import os

from actors import actor
from middleware.attempt import current
from tests.faults.toll import note

# Workers that are killed take all along that runs in them. Here nothing is to be poison but what kills them itself.
MANY = 1_000
# A result that no message can carry, where that is limited to ``ACTORS_MAX_MESSAGE_BYTES``.
MAX_MESSAGE_BYTES, TOO_MANY_BYTES = 4_096, 10_000


@actor(actor_name="ends_well", max_losses=MANY, max_retries=5, min_backoff=50, max_backoff=100)
def well(key: str) -> None:
    """Succeed; at the second attempt, where the key begins with ``twice``."""
    if key.startswith("twice") and current().number == 1:
        raise ConnectionError("the first attempt fails")
    note("end", key)


@actor(actor_name="ends_exhausted", max_losses=MANY, max_retries=1, min_backoff=50, max_backoff=100)
def exhausted(key: str) -> None:
    """Fail twice."""
    raise LookupError(f"no {key}")


@actor(actor_name="ends_by_predicate", max_losses=MANY, retry_when=lambda attempt, error: False)
def refused(key: str) -> None:
    """Fail with an error that its predicate refuses to retry."""
    raise ValueError(f"bad {key}")


@actor(actor_name="ends_by_throws", max_losses=MANY, throws=KeyError)
def thrown(key: str) -> None:
    """Fail with an error that it expects."""
    raise KeyError(key)


@actor(actor_name="ends_expired", max_losses=MANY, max_age=1)
def expired(key: str) -> None:
    """Never run: no message gets here within a millisecond."""
    note("end", key)


@actor(actor_name="ends_in_conflict", max_losses=MANY)
def conflicting(key: str, number: int) -> None:
    """Succeed, where its idempotency key has not been used with another number."""
    note("end", f"{key}#{number}")


# With as many losses as it takes to kill but once, the test lasts for minutes, not for hours.
@actor(actor_name="ends_poisonous", max_losses=1)
def poisonous(key: str) -> None:
    """Kill its worker."""
    os._exit(1)


@actor(actor_name="ends_too_large", max_losses=MANY)
def too_large(key: str) -> str:
    """Succeed with a result that can't be sent to the next of its pipeline."""
    return "x" * TOO_MANY_BYTES


ACTORS = (well, exhausted, refused, thrown, expired, conflicting, poisonous, too_large)
