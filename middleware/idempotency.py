"""Lets the work of a key be done once, whatever is delivered twice, and whoever dies in the middle."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import dramatiq
from dramatiq.errors import ActorNotFound
from dramatiq.middleware import GroupCallbacks, Middleware, MiddlewareError, Pipelines, SkipMessage
from dramatiq.results import ResultError

from middleware.aborted import is_aborted, note_aborted
from middleware.age_limit import note_due
from middleware.attempt import Attempt, set_current
from middleware.callbacks import Callbacks
from middleware.failure import Failure, Reason, failure_of, give_up, traceback_in
from middleware.guard import LOOK_AGAIN_MS, Guard
from middleware.guarded import SUSPECT, Guarded, concludes, note_again
from middleware.keys import InvalidKey
from middleware.options import InvalidPolicy
from middleware.policy import OPTIONS, Defaults
from middleware.results import UNSTORED, encode_result, encode_skip, is_skip, value_of
from middleware.stores import ABORTED, WORKER_LOST, Answer, Ending, Store, Verdict
from middleware.trail import retries_of

# By so much a retry may come before the store finds it due, in milliseconds: the clocks of those who hold it differ.
EARLY_MS = 1_000


class Refused(SkipMessage):
    """The key of a message does not let it run."""


# A MiddlewareError, because Dramatiq swallows any other error of a hook, and would run the actor unguarded.
class GuardFailed(MiddlewareError):
    """The store has answered with an error of its own; the attempt fails, and may be tried again."""


class Idempotency(Middleware):
    """Guards every message with its idempotency key: the actor's own, or else the message id.

    It stands first in the list, so that its hooks frame those of all others. On any Dramatiq broker they make two calls
    to the store for each message. A broker whose deliveries have an attribute ``concludes`` makes the calls for many
    messages at once, through :attr:`guard`, and sees to it that the record precedes all that follows an attempt.

    Args:
        store: called for the store.
        defaults: called for the options of actors that do not say otherwise.
        tell: told of what becomes of messages with a key: how many, by what it was.
    """

    def __init__(
        self,
        *,
        store: Callable[[], Store],
        defaults: Callable[[], Defaults] = Defaults,
        tell: Callable[[Mapping[str, int]], object] = lambda results: None,
    ) -> None:
        self.guard = Guard(store, defaults, tell)
        self._running = threading.local()

    @property
    def counts(self) -> Counter[str]:
        """How many messages ended otherwise than by a run of their own: by ``duplicate``, ``conflict`` and so on."""
        return self.guard.counts

    @property
    def actor_options(self) -> set[str]:
        """The options that actors and messages have for it."""
        return set(OPTIONS)

    def before_enqueue(self, broker: dramatiq.Broker, message: dramatiq.Message[Any], delay: int | None) -> None:
        """Give *message* its key, while its arguments are at hand as they were given.

        Raises:
            InvalidKey: the key can't be made of them.
        """
        running: Guarded | None = getattr(self._running, "guarded", None)
        if running is not None and running.request is not None and running.request.owner == message.message_id:
            running.retry_ms = delay or 0
        try:
            actor = broker.get_actor(message.actor_name)
        except ActorNotFound:
            return
        if "idempotency_key" not in message.options:
            key = self.guard.policy(actor, message).key
            if key is not None:
                message.options["idempotency_key"] = key(message.args, message.kwargs)

    def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        """Let the attempt start if its key is free.

        Raises:
            Refused: it is not; :meth:`after_skip_message` sees to what follows.
            GuardFailed: nobody knows whether it is.
        """
        try:
            guarded = self._begin(broker, message)
        except MiddlewareError:
            raise
        except Exception as error:
            raise GuardFailed(f"message {message.message_id} can't ask for its key: {error}") from error
        self._running.guarded = guarded
        claim = guarded.lease.claim if guarded.lease is not None else None
        if claim is not None and claim.retries:
            _adopt(message, claim.retries)
        set_current(
            Attempt(
                message=message._message,
                number=retries_of(message) + 1,
                scope=guarded.policy.scope,
                key=guarded.key,
                maybe_ran=claim is not None and claim.lost > 0,
                fence=claim.fence if claim is not None else 0,
            )
        )

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: dramatiq.MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        """Note how the attempt ended, now that all other hooks have had their say."""
        set_current(None)
        self._running.guarded = None
        guarded = self.guard.guarded(broker, message)
        if guarded.lease is None:
            return
        retries = retries_of(message)
        if is_aborted(message):
            self.guard.end(guarded, Ending.ABORTED, retries=retries)
        elif message.failed or (exception is not None and guarded.retry_ms is None and not _is_requeued(message)):
            self.guard.end(guarded, Ending.FAILED, error=_error_of(message), retries=retries)
        elif exception is not None:
            due_ms = max(0, (guarded.retry_ms or 0) - EARLY_MS)
            self.guard.end(guarded, Ending.WAITING, due_ms=due_ms, retries=retries)
        else:
            kept = guarded.policy.store_results or message.options.get("pipe_target") is not None
            self.guard.end(guarded, Ending.DONE, result=encode_result(result) if kept else UNSTORED)
        self._record(guarded, message)

    def after_skip_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        """See to it that a message which does not run is not lost."""
        set_current(None)
        self._running.guarded = None
        guarded = self.guard.guarded(broker, message)
        if guarded.lease is not None:
            # Another middleware has skipped it after all.
            retries = retries_of(message)
            if message.failed:
                self.guard.end(guarded, Ending.FAILED, error=_error_of(message), retries=retries)
            elif is_aborted(message):
                self.guard.end(guarded, Ending.ABORTED, retries=retries)
            elif guarded.skipped:
                self.guard.end(guarded, Ending.DONE, result=encode_skip(guarded.skipped))
            else:
                is_kept = guarded.postponed_ms is not None or _is_requeued(message)
                self.guard.end(guarded, Ending.ABANDONED if is_kept else Ending.FORGOTTEN)
            self._look_again(broker, message, guarded)
            self._record(guarded, message)
        elif guarded.answer is not None and guarded.answer.verdict is not Verdict.RUN:
            self._follow(broker, message, guarded, guarded.answer)
        else:
            self._look_again(broker, message, guarded)

    def after_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Start to renew leases."""
        self.guard.start()

    def before_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Let no message wait any longer for a store that does not answer."""
        self.guard.hurry()

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Renew no more."""
        self.guard.stop()

    def _begin(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> Guarded:
        try:
            guarded = self.guard.guarded(broker, message)
        except (InvalidKey, InvalidPolicy) as error:
            self.guard.unguarded(broker, message)
            give_up(message, Failure.of(error, Reason.UNDECODABLE))
            raise Refused(str(error)) from error
        if not self.guard.claim(guarded, message):
            raise Refused(_refusal(guarded, message))
        return guarded

    def _record(self, guarded: Guarded, message: dramatiq.MessageProxy) -> None:
        if guarded.outcome is not None and not concludes(message):
            outcome, guarded.outcome = guarded.outcome, None
            self.guard.record(outcome, good_until=guarded.good_until)

    def _follow(
        self, broker: dramatiq.Broker, message: dramatiq.MessageProxy, guarded: Guarded, answer: Answer
    ) -> None:
        """Do what follows for *message*, which *answer* does not let run."""
        request = guarded.request
        assert request is not None  # noqa: S101
        same = answer.owner == message.message_id
        if is_aborted(message):
            self.guard.count("aborted", request, "it was aborted, and has not run")
        elif answer.verdict is Verdict.BUSY and not message.failed:
            if same or guarded.policy.on_duplicate == "wait" or _has_followers(broker, message):
                delay = answer.remaining_ms + 1 if same else min(answer.remaining_ms + 1, LOOK_AGAIN_MS)
                guarded.postponed_ms = delay
                self._look_again(broker, message, guarded)
                self.guard.count("later", request, f"message {answer.owner} holds it; it looks again in {delay} ms")
            else:
                self.guard.count("duplicate", request, f"message {answer.owner} holds it")
        elif answer.verdict is Verdict.DONE:
            self.guard.count("duplicate", request, f"message {answer.owner} has done it")
            self._succeed(broker, message, answer)
        elif not message.failed:
            self.guard.count("duplicate", request, f"it is closed: {answer.verdict}, by message {answer.owner}")
        elif answer.verdict is Verdict.FAILED:
            self.guard.count("failed", request, "it has failed for good; its dead letter is forwarded once more")
        else:
            self.guard.count(answer.verdict, request, str(message.options.get("traceback")))

    def _look_again(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy, guarded: Guarded) -> None:
        if guarded.postponed_ms is None or message.failed:
            return
        if guarded.watched:
            message.options[SUSPECT] = True
        note_due(message)
        note_again(message)
        broker.enqueue(message._message, delay=guarded.postponed_ms)

    def _succeed(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy, answer: Answer) -> None:
        if is_skip(answer.result):
            return
        try:
            result = value_of(answer.result)
        except ResultError as error:
            if message.options.get("pipe_target") is not None:
                give_up(message, Failure.of(error), traceback=f"its pipeline can't go on: {error}")
                return
            result = None
        # Groups, pipelines and callbacks go on as if the message had run now.
        for each in reversed(broker.middleware):
            if isinstance(each, Callbacks | Pipelines | GroupCallbacks):
                go_on: Any = each.after_process_message
                go_on(broker, message, result=result)


def _refusal(guarded: Guarded, message: dramatiq.MessageProxy) -> str:
    """Mark *message* as failed if it belongs to the dead letters; return why it does not run."""
    answer, request = guarded.answer, guarded.request
    assert answer is not None  # noqa: S101
    assert request is not None  # noqa: S101
    prefix = f"idempotency key {guarded.key!r}: " if guarded.key is not None else ""
    if answer.error == ABORTED and answer.owner == message.message_id:
        # Also a copy of it: whoever was told so first may have been lost before anything followed.
        note_aborted(message)
        return f"{prefix}{ABORTED}"
    failure = _failure(answer, guarded, same=answer.owner == message.message_id)
    if failure is None:
        return f"{prefix}{answer.verdict}"
    if answer.verdict is Verdict.FAILED:
        _adopt(message, answer.retries)
        text = f"{prefix}failed before: {failure.type}: {failure.message}"
    else:
        text = f"{prefix}{failure.message}"
    give_up(message, failure, traceback="\n".join(filter(None, [text, traceback_in(answer.error)])))
    return text


def _error_of(message: dramatiq.MessageProxy) -> str:
    """Return what the record keeps of the end of *message*, should its dead letter be lost on its way."""
    return failure_of(message).text(str(message.options.get("traceback", "")))


def _failure(answer: Answer, guarded: Guarded, *, same: bool) -> Failure | None:
    """Return why a message that gets *answer* is dead-lettered; None if it is not."""
    verdict = answer.verdict
    if verdict is Verdict.FAILED and answer.error == WORKER_LOST:
        # Who was told that it is poison may have been lost before the dead letter was forwarded.
        verdict = Verdict.POISON if same else verdict
    match verdict:
        case Verdict.CONFLICT:
            text = f"conflict: message {answer.owner} has used it with other arguments"
            return Failure(Reason.CONFLICT, "Conflict", text)
        case Verdict.BUSY if not same and guarded.policy.on_duplicate == "error":
            return Failure(Reason.CONFLICT, "Duplicate", f"duplicate: message {answer.owner} holds it")
        case Verdict.POISON:
            return Failure(Reason.POISON, "Poison", f"poison: its workers were lost {answer.lost} times")
        case Verdict.UNKNOWN if same:
            text = "parked: its worker was lost, and nobody knows whether it was done"
            return Failure(Reason.POISON, "Parked", text)
        case Verdict.FAILED if same:
            return Failure.from_text(answer.error)
    return None


def _adopt(message: dramatiq.MessageProxy, retries: int) -> None:
    """Let a copy of an earlier attempt count as the one that is due."""
    message.options["retries"] = max(retries_of(message), retries)


def _is_requeued(message: dramatiq.MessageProxy) -> bool:
    return bool(getattr(message, "requeue", False))


def _has_followers(broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> bool:
    """Return whether something waits for *message* to succeed."""
    options = message.options
    if options.get("pipe_target") or options.get("group_completion_uuid") or options.get("on_success"):
        return True
    return bool(broker.actors[message.actor_name].options.get("on_success"))
