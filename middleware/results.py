"""Results of messages: what a record keeps of them, and how a sender reads them."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import Any

import dramatiq
from dramatiq.errors import DecodeError
from dramatiq.results import ResultBackend, ResultError, ResultFailure, ResultMissing, ResultTimeout
from dramatiq.results.backend import DEFAULT_TIMEOUT

from middleware.failure import Failure
from middleware.keys import digest, fingerprint
from middleware.policy import Policy
from middleware.stores import ABORTED, Record, State, Store, StoreUnavailable

log = logging.getLogger(__name__)

MAX_RESULT_BYTES = 65_536
UNSTORED = json.dumps({"unstored": "its actor has store_results=False"})

# A waiting reader's pause between two looks, in seconds: the first, doubled each time, and the longest.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.005, 0.25
_LONGEST_REASON = 500
_ENDED = frozenset({State.DONE, State.FAILED, State.UNKNOWN})

PolicyOf = Callable[[dramatiq.Actor[..., Any], dramatiq.Message[Any]], Policy]


class NoResult(ResultError):
    """A message has no result to give out, and waiting will not bring one."""

    def __init__(self, text: str) -> None:
        super().__init__(text)  # type: ignore[no-untyped-call]


class ResultNotStored(NoResult):
    """The message's result is not kept, and never will be."""


class ResultTooLarge(NoResult):
    """The message's result was too large to be kept."""


class ResultUnknown(NoResult):
    """The message is parked: nobody knows whether it ran, and an operator decides."""


class ResultAborted(ResultFailure):
    """The message was aborted."""

    def __init__(self, text: str) -> None:
        super().__init__(text, "Aborted", ABORTED)  # type: ignore[no-untyped-call]


class ResultConflict(NoResult):
    """The message's key belongs to a call with other arguments."""


def encode_result(value: object, limit_bytes: int = MAX_RESULT_BYTES, *, of: str = "a result") -> str:
    """Return the text by which a record keeps what an actor returned; never raise.

    Args:
        value: what the actor returned; None is the empty text.
        limit_bytes: of a larger one only the size is kept.
        of: whose result it is, for the log.
    """
    if value is None:
        return ""
    try:
        encoded = dramatiq.get_encoder().encode({"value": value})
        text = encoded.decode("utf-8")
    except Exception as error:
        # Whatever an encoder raises, the work is done, and must be recorded as done.
        reason = f"not JSON: {error}"[:_LONGEST_REASON]
        log.warning("%s is not kept: %s", of, reason)
        return json.dumps({"unstored": reason})
    if len(encoded) > limit_bytes:
        log.warning("%s is not kept: it is %d bytes, over the limit of %d", of, len(encoded), limit_bytes)
        return json.dumps({"oversize": len(encoded)})
    return text


def encode_skip(reason: str) -> str:
    """Return the text by which a record keeps that its message was skipped, because of *reason*."""
    return json.dumps({"skipped": reason})


def is_skip(text: str) -> bool:
    """Return whether :func:`encode_skip` made *text*."""
    return text.startswith('{"skipped":')


def value_of(text: str, *, of: str = "the result") -> Any:
    """Return the value, in JSON's types, that :func:`encode_result` made *text* of.

    Raises:
        ResultTooLarge, ResultNotStored: the value was not kept.
    """
    if not text:
        return None
    try:
        kept: Any = dramatiq.get_encoder().decode(text.encode())
    except DecodeError:
        kept = None
    match kept:
        case {"value": value}:
            return value
        case {"oversize": int(size)}:
            raise ResultTooLarge(f"{of} was {size:,} bytes, too large to be kept; store the data and return its id")
        case {"skipped": reason}:
            raise ResultNotStored(f"{of} is none: it was skipped: {reason}")
        case {"unstored": reason}:
            raise ResultNotStored(f"{of} is not kept: {reason}")
        case _:
            raise ResultNotStored(f"{of} can't be read from its record: {text[:_LONGEST_REASON]!r}")


def policy_of(actor: dramatiq.Actor[..., Any], message: dramatiq.Message[Any]) -> Policy:
    """Return the idempotency options in effect for *message*.

    Raises:
        InvalidPolicy, InvalidKey: one has a value that could not work.
    """
    policy = getattr(actor, "policy", None) or Policy.of(actor.options, actor.fn, actor.actor_name)
    return policy.overridden_by(message.options)


class RecordedResults(ResultBackend):
    """Reads results from idempotency records; give it to Dramatiq's ``Results``, with ``store_results=True``.

    It stores nothing, because the record of a message that is done holds its result already. A message whose key was
    another's has the other's result.

    Args:
        store: called for the store.
        policy: returns the idempotency options in effect for a message.
        broker: called for the broker that knows the actors.
    """

    def __init__(
        self,
        store: Callable[[], Store],
        *,
        policy: PolicyOf = policy_of,
        broker: Callable[[], dramatiq.Broker] = dramatiq.get_broker,
    ) -> None:
        super().__init__()
        self._records = store
        self._policy = policy
        self._broker = broker

    def get_result(self, message: dramatiq.Message[Any], *, block: bool = False, timeout: int | None = None) -> Any:
        """Return what the actor returned, with the type of its return hint if the actor restores results.

        Args:
            message: the message that was sent.
            block: wait for it.
            timeout: milliseconds to wait, with *block*; default 10,000.

        Raises:
            ResultMissing, ResultTimeout: there is none yet; without *block*, and with it.
            ResultFailure: the message has failed for good.
            ResultAborted: it was aborted; a ``ResultFailure``.
            ResultUnknown: it is parked.
            ResultConflict: its key belongs to other arguments.
            ResultNotStored, ResultTooLarge: the result is not kept.
            StoreUnavailable: the store does not answer; with *block*, not even at the end of the timeout.
        """
        actor = self._broker().actors.get(message.actor_name)
        policy = self._policy(actor, message) if actor is not None else None
        if policy is not None:
            _refuse_unstored(policy)
        deadline, pause_s = time.monotonic() + (DEFAULT_TIMEOUT if timeout is None else timeout) / 1000, _FIRST_PAUSE_S
        while True:
            try:
                record = _ended(self._records(), message, policy)
            except StoreUnavailable:
                if not block or time.monotonic() >= deadline:
                    raise
            else:
                if record is not None:
                    return _result(record, message, actor)
                if not block:
                    raise ResultMissing(f"{_of(message)} is not there yet")
                if time.monotonic() >= deadline:
                    raise ResultTimeout(f"{_of(message)} is not there yet")
            time.sleep(max(0.0, min(pause_s, deadline - time.monotonic())))
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def store_result(self, message: dramatiq.Message[Any], result: Any, ttl: int) -> None:
        """Do nothing: the record will hold the result."""

    def store_exception(self, message: dramatiq.Message[Any], exception: BaseException, ttl: int) -> None:
        """Do nothing: the record will hold the error."""


def _refuse_unstored(policy: Policy) -> None:
    if not policy.idempotent:
        raise ResultNotStored(
            f"actor {policy.actor_name!r}: with idempotent=False nothing is recorded of its messages; "
            "remove it, or give the message an idempotency_key"
        )
    if not policy.store_results:
        raise ResultNotStored(
            f"actor {policy.actor_name!r}: its results are not kept; declare it with store_results=True"
        )


def _ended(store: Store, message: dramatiq.Message[Any], policy: Policy | None) -> Record | None:
    """Return the record that says how *message* ended, or None if it may yet run.

    Raises:
        ResultConflict: its key belongs to other arguments.
    """
    name = _digest(store, message, policy)
    record = store.inspect(name) if name is not None else None
    if record is None or record.state is State.RELEASED:
        return None
    if policy is not None and record.owner != message.message_id:
        # Once it has asked for the key, the store has compared the arguments, and knows those that a pipeline adds.
        asked = store.digest_of(message.message_id) == record.digest
        skipped = asked and policy.on_duplicate != "wait"
        if record.state is State.FAILED and policy.on_failed != "hold" and not skipped:
            return None
        if not asked and _differs(record, message, policy):
            raise ResultConflict(
                f"{_of(message)}: message {record.owner} has used the key {record.key!r} with other arguments"
            )
    return record if record.state in _ENDED else None


def _digest(store: Store, message: dramatiq.Message[Any], policy: Policy | None) -> str | None:
    """Return the name of the record of *message*; None as long as nobody here can know its key."""
    key = message.options.get("idempotency_key")
    if policy is None:
        scope = message.options.get("scope", message.actor_name)
        return store.digest_of(message.message_id) or digest(scope, key or message.message_id)
    if key is None and policy.key is not None:
        # It is one of a group or a later one of a pipeline, and what was enqueued is a copy.
        return store.digest_of(message.message_id)
    return digest(policy.scope, key or message.message_id)


def _differs(record: Record, message: dramatiq.Message[Any], policy: Policy) -> bool:
    try:
        policy.signature.bind(*message.args, **message.kwargs)
    except TypeError:
        # A later one of a pipeline still lacks the result of the one before.
        return False
    own = fingerprint(policy.signature, message.args, message.kwargs)
    return bool(own and record.fingerprint) and own != record.fingerprint


def _result(record: Record, message: dramatiq.Message[Any], actor: dramatiq.Actor[..., Any] | None) -> Any:
    """Return the result that an ended *record* holds, or raise what it holds instead."""
    if record.state is State.FAILED and record.error == ABORTED:
        raise ResultAborted(f"{_of(message)} is none: it was aborted")
    if record.state is State.FAILED:
        failure = Failure.from_text(record.error)
        raise ResultFailure(f"actor raised {failure.type}: {failure.message}", failure.type, failure.message)
    if record.state is State.UNKNOWN:
        raise ResultUnknown(
            f"{_of(message)} is not known: its worker was lost after it had started, and it is parked; "
            "an operator completes or releases it"
        )
    value = value_of(record.result, of=_of(message))
    restore = getattr(actor, "restore_result", None)
    return value if restore is None else restore(value)


def _of(message: dramatiq.Message[Any]) -> str:
    return f"actor {message.actor_name!r}: the result of message {message.message_id}"
