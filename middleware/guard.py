"""Asks the store for the keys of messages, and tells it how their attempts ended."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import dramatiq
from dramatiq.errors import Retry
from dramatiq.middleware import MiddlewareError, SkipMessage

from middleware.age_limit import LATEST
from middleware.guarded import Guarded, concludes, is_suspect
from middleware.keys import InvalidKey, digest, fingerprint
from middleware.leases import Leases
from middleware.letter import replays_of
from middleware.options import InvalidPolicy
from middleware.per_actor import PerActor
from middleware.policy import OPTIONS, Defaults, Policy
from middleware.stores import Answer, Claim, Ending, Outcome, Request, Store, StoreUnavailable, Verdict

R = TypeVar("R")

log = logging.getLogger(__name__)

# How long a worker thread waits between two questions to a store that does not answer, in seconds.
PROBE_EVERY_S = 0.5
# The longest that a message waits for the key that another holds before it looks again, in milliseconds.
LOOK_AGAIN_MS = 1_000
# How long those wait that were beside a message which has killed its worker, where their actor is not guarded.
WATCH_LEASE_MS = 5_000


class GivenBack(SkipMessage):
    """This process has given the message back before it could start."""


class Postponed(SkipMessage):
    """The message has its key, and lets another end before it starts."""


class TryLater(MiddlewareError, Retry):
    """The store does not answer, and the worker stops; for brokers that can't take a message back."""


class Guard:
    """One process's side of the state machine; safe from any thread.

    Args:
        store: called for the store.
        defaults: called for the options of actors that do not say otherwise.
        tell: told of what becomes of messages with a key, those that run included: how many, by what it was.

    Attributes:
        leases: what this process holds.
        counts: how many messages ended otherwise than by a run of their own, by what it was.
    """

    def __init__(
        self,
        store: Callable[[], Store],
        defaults: Callable[[], Defaults],
        tell: Callable[[Mapping[str, int]], object] = lambda results: None,
    ) -> None:
        self._tell = tell
        self.leases = Leases(store)
        self.counts: Counter[str] = Counter()
        #: Returns the options in effect for a message of an actor.
        self.policy = PerActor(
            lambda actor: Policy.of(actor.options, actor.fn, actor.actor_name, defaults()), OPTIONS | {"store_results"}
        )
        self._store = store
        # What runs here and has cost workers; whether it is one that one loss more makes poison, which is then alone.
        self._suspects: set[Guarded] = set()
        self._is_last_chance = False
        self._starting = threading.Lock()
        self._stopping = threading.Event()

    def admits(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> bool:
        """Return whether the store is to be asked before *message* may start."""
        # A delayed message of plain Dramatiq's does not run now, and an unknown actor's never does.
        if "eta" in message.options or message.actor_name not in broker.actors:
            return False
        try:
            return self.guarded(broker, message).request is not None
        except (InvalidKey, InvalidPolicy):
            return False  # its hooks say so, once it is their turn

    def guarded(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> Guarded:
        """Return what is known of this delivery of *message*.

        Raises:
            ActorNotFound: no actor has its name.
            InvalidKey, InvalidPolicy: its options, or arguments, can't be used.
        """
        known: Guarded | None = vars(message).get("guarded")
        if known is None:
            actor = broker.get_actor(message.actor_name)
            policy = self.policy(actor, message._message)
            if policy.idempotent:
                request = _request(policy, actor, message._message)
                known = Guarded(policy, request, key=request.key)
            elif replays_of(message._message):
                # A replay may come twice, of whatever actor: from here on it is guarded by its id.
                known = Guarded(policy, _watch(policy, message._message))
            elif is_suspect(message):
                request = replace(_watch(policy, message._message), lost=1)
                lease_ms = min(request.lease_ms, WATCH_LEASE_MS)
                known = Guarded(policy, replace(request, lease_ms=lease_ms), watched=True)
            else:
                known = Guarded(policy, None)
            message.guarded = known  # type: ignore[attr-defined]
        return known

    def unguarded(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        """From now on take *message*, whose options can't be used, for one without a key."""
        policy = Policy.of({"idempotent": False}, broker.get_actor(message.actor_name).fn, message.actor_name)
        message.guarded = Guarded(policy, None)  # type: ignore[attr-defined]

    def exchange(self, outcomes: Sequence[Outcome], arrived: Sequence[Guarded]) -> list[bool]:
        """Record *outcomes*, and ask for the keys of *arrived*, in one call.

        Returns:
            For each outcome whether it counts; one that does not came from a zombie, and nothing may follow it.

        Raises:
            StoreUnavailable: it may or may not have happened; it can be repeated.
        """
        requests = [guarded.request for guarded in arrived if guarded.request is not None]
        asked_at = time.monotonic()
        counted, answers = self._store().exchange(outcomes, requests)
        for guarded, answer in zip(arrived, answers, strict=True):
            self._take(guarded, answer, asked_at)
        if requests:
            self._tell_of_runs(arrived, answers)
        for outcome, is_counted in zip(outcomes, counted, strict=True):
            if not is_counted:
                self.count("stale", outcome.claim.request, "its lease ended before it did, and another took its key")
        return counted

    def claim(self, guarded: Guarded, message: dramatiq.MessageProxy) -> bool:
        """Return whether *message* may start now; wait for a store that does not answer.

        Raises:
            GivenBack, TryLater: the message was given back, or the worker stops while it waits.
        """
        while guarded.request is not None:
            if guarded.answer is None:
                self._ask(guarded, message)
                continue
            if guarded.answer.verdict is not Verdict.RUN:
                return False
            lease = guarded.lease
            if lease is not None and lease.claim.lost and not self._may_start(guarded, lease.claim):
                guarded.postponed_ms = LOOK_AGAIN_MS
                text = f"another that has cost workers runs here; it looks again in {LOOK_AGAIN_MS} ms"
                self.count("later", lease.claim.request, text)
                raise Postponed(f"message {message.message_id} has cost workers, and waits for another that has")
            if lease is None or not self.leases.start(lease):
                self._give_way(guarded)
                raise GivenBack(f"message {message.message_id} was given back before it could start")
            if lease.is_good and not lease.claim.needs_mark:
                return True
            # It was suspended, or it must leave a trace before it starts.
            claim, asked_at = lease.claim, time.monotonic()
            if self.patiently(partial(self._store().mark, claim), message):
                lease.good_until = asked_at + claim.request.lease_ms / 1000
                return True
            self._give_way(guarded)
            self.leases.end(lease)
            guarded.lease = guarded.answer = None
            guarded.request = replace(guarded.request, token=new_token())
        return True

    def leave(self, guarded: Guarded) -> Outcome | None:
        """Give up a claim whose work has not started; return the outcome to record, or None if there is none."""
        lease = guarded.lease
        if lease is None or not self.leases.start(lease):
            return None
        guarded.lease = None
        self.leases.end(lease)
        return Outcome(lease.claim, Ending.ABANDONED)

    def end(self, guarded: Guarded, ending: Ending, **details: Any) -> None:
        """Note how the claim ends that *guarded* holds; it is renewed no more, and yet to be recorded."""
        if guarded.watched and ending not in (Ending.ABANDONED, Ending.ABORTED):
            ending, details = Ending.FORGOTTEN, {}
        self._give_way(guarded)
        if guarded.lease is not None:
            self.leases.end(guarded.lease)
            guarded.outcome = Outcome(guarded.lease.claim, ending, **details)
            guarded.good_until = guarded.lease.good_until
            guarded.lease = None

    def record(self, outcome: Outcome, *, good_until: float) -> None:
        """Record *outcome*; wait for a store that does not answer until *good_until*, by the monotonic clock."""
        while True:
            try:
                self.exchange([outcome], [])
            except StoreUnavailable as error:
                if time.monotonic() < good_until:
                    time.sleep(PROBE_EVERY_S)
                    continue
                self.unrecorded(outcome, str(error))
            return

    def unrecorded(self, outcome: Outcome, reason: str) -> None:
        """Say that *outcome* could not be recorded while its lease was alive."""
        self.count("unrecorded", outcome.claim.request, f"it is {outcome.ending}, but that is not recorded: {reason}")

    def runs_unprotected(self, guarded: Guarded) -> bool:
        """Return whether a message may run although the store does not answer; from then on it is not guarded."""
        request = guarded.request
        if request is None or (guarded.policy.idempotent and guarded.policy.on_outage != "run"):
            return False
        guarded.request = None
        self.count("unprotected", request, "it runs without its key, since the store does not answer")
        return True

    def patiently(self, call: Callable[[], R], message: dramatiq.MessageProxy) -> R:
        """Return what *call* returns, once the store answers.

        Raises:
            GivenBack, TryLater: the worker stops while *message* waits for it.
        """
        while True:
            try:
                return call()
            except StoreUnavailable as error:
                log.warning("message %s waits: %s", message.message_id, error)
                if self._stopping.wait(PROBE_EVERY_S):
                    _give_back(message, str(error))

    def count(self, what: str, request: Request, text: str) -> None:
        """Count what became of a message, and say it in one line."""
        self.counts[what] += 1
        self._tell({what: 1})
        log.info("%s: message %s of %s, key %r: %s", what, request.owner, request.scope, request.key, text)

    def start(self) -> None:
        """Start to renew what is held."""
        self._stopping.clear()
        self.leases.begin()

    def hurry(self) -> None:
        """Let nobody wait any longer for a store that does not answer."""
        self._stopping.set()

    def stop(self) -> None:
        """Renew no more."""
        self.leases.stop()

    def _may_start(self, guarded: Guarded, claim: Claim) -> bool:
        """Return whether *guarded*, which has cost workers, may start now; it then runs until it gives way.

        What one loss more makes poison runs beside no other that has cost workers. Otherwise what starts beside a
        message that kills its worker each time would end among the dead letters with it.
        """
        with self._starting:
            if self._suspects and (claim.is_last_chance or self._is_last_chance):
                return False
            self._suspects.add(guarded)
            self._is_last_chance = claim.is_last_chance
            return True

    def _give_way(self, guarded: Guarded) -> None:
        with self._starting:
            self._suspects.discard(guarded)

    def _take(self, guarded: Guarded, answer: Answer, asked_at: float) -> None:
        guarded.answer = answer
        if answer.verdict is Verdict.RUN and guarded.request is not None:
            claim = Claim(guarded.request, answer.fence, answer.lost, answer.retries)
            guarded.lease = self.leases.hold(claim, asked_at=asked_at)

    def _tell_of_runs(self, arrived: Sequence[Guarded], answers: Sequence[Answer]) -> None:
        runs = [
            answer.lost > 0
            for guarded, answer in zip(arrived, answers, strict=True)
            if answer.verdict is Verdict.RUN and guarded.key is not None
        ]
        if runs:
            again = sum(runs)
            told = {"run": len(runs) - again, "run_again": again}
            self._tell({what: number for what, number in told.items() if number})

    def _ask(self, guarded: Guarded, message: dramatiq.MessageProxy) -> None:
        def ask() -> None:
            try:
                self.exchange([], [guarded])
            except StoreUnavailable:
                if not self.runs_unprotected(guarded):
                    raise

        self.patiently(ask, message)


def _give_back(message: dramatiq.MessageProxy, reason: str) -> None:
    if concludes(message):
        message.requeue = True  # type: ignore[attr-defined]
        raise GivenBack(f"message {message.message_id} is given back: {reason}")
    raise TryLater(reason, delay=1_000)


def _request(policy: Policy, actor: dramatiq.Actor[..., Any], message: dramatiq.Message[Any]) -> Request:
    key = message.options.get("idempotency_key")
    if key is None and policy.key is not None:
        # It comes from a producer that does not know the actor's options. A template wants the types of the hints.
        key = policy.key(*arguments_of(actor, message))
    if key is None:
        # The same message has the same arguments.
        key, print_ = message.message_id, ""
    else:
        print_ = fingerprint(policy.signature, message.args, message.kwargs)
    return Request(
        digest=digest(policy.scope, key),
        scope=policy.scope,
        key=key,
        owner=message.message_id,
        token=new_token(),
        fingerprint=print_,
        lease_ms=policy.lease_ms,
        ttl_ms=policy.ttl_ms,
        max_losses=policy.max_losses,
        park=policy.on_lost == "park",
        hold=policy.on_failed == "hold",
        replays=replays_of(message),
        replayed=_replayed(message),
    )


def _watch(policy: Policy, message: dramatiq.Message[Any]) -> Request:
    """Return what the store is asked for *message*, whose actor is not guarded."""
    scope = unguarded_scope(policy.scope)
    return Request(
        digest=digest(scope, message.message_id),
        scope=scope,
        key=message.message_id,
        owner=message.message_id,
        token=new_token(),
        lease_ms=policy.lease_ms,
        ttl_ms=policy.ttl_ms,
        max_losses=policy.max_losses,
        replays=replays_of(message),
        replayed=_replayed(message),
    )


def _replayed(message: dramatiq.Message[Any]) -> int:
    """Return when *message* was replayed last; 0 if it was not, or nobody can tell."""
    at = message.message_timestamp if replays_of(message) else 0
    return at if type(at) is int and 0 <= at < LATEST else 0


def arguments_of(
    actor: dramatiq.Actor[..., Any], message: dramatiq.Message[Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of *message* with the types that its actor expects, where that knows them.

    Raises:
        InvalidKey: they don't fit.
    """
    restore: Callable[..., tuple[tuple[Any, ...], dict[str, Any]]] | None = getattr(actor, "restore", None)
    if restore is None:
        return message.args, message.kwargs
    try:
        return restore(message.args, message.kwargs)
    except (TypeError, ValueError) as error:
        raise InvalidKey(f"actor {message.actor_name!r}: {error}") from error


def unguarded_scope(scope: str) -> str:
    """Return what the key of a message is unique in that is not guarded, but watched."""
    return f"{scope} (unguarded)"


def new_token() -> str:
    """Return a name for a delivery that no other has."""
    return secrets.token_hex(8)
