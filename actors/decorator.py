"""``@actor``: a function that runs in a worker."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ParamSpec, Protocol, TypeVar, Unpack, cast, overload

import dramatiq
from dramatiq.brokers.stub import StubBroker

from actors.aborting import Message
from actors.arguments import Parameters
from actors.assembly import idempotency_defaults, queue_of, retry_defaults
from actors.configuration import QUEUE_NAME
from actors.errors import ArgumentsError, DeclarationError
from actors.options import ActorOptions, MessageOptions
from actors.schedules import schedules_of
from middleware.concurrency_policy import ConcurrencyPolicy
from middleware.keys import InvalidKey
from middleware.options import YEAR_MS, InvalidPolicy, milliseconds
from middleware.policy import DURATIONS, OPTIONS, Policy
from middleware.retry_policy import DURATIONS as RETRY_DURATIONS
from middleware.retry_policy import RetryPolicy
from middleware.suggestion import did_you_mean
from periodic.registry import OPTION as PERIODIC

P = ParamSpec("P")
R = TypeVar("R")

# Options of a message that no middleware declares: what the broker itself and Dramatiq's pipelines read.
_MESSAGE_OPTIONS = {"broker_priority", "pipe_target"}

# Options of an actor that no middleware declares, beside those of idempotency.
_DECLARED = {"actor_name", "queue_name", "priority", PERIODIC}


class Actor(dramatiq.Actor[P, R]):
    """A function that can be sent to a worker; calling it runs it here and now."""

    def __init__(
        self,
        fn: Callable[P, Awaitable[R]] | Callable[P, R],
        *,
        broker: dramatiq.Broker,
        actor_name: str,
        queue_name: str,
        priority: int,
        options: dict[str, Any],
    ) -> None:
        self.parameters = Parameters(fn, actor_name)
        self.policy, self.retry_policy, self.concurrency_policy = _policies(options, fn, actor_name)
        self.declared_queue = queue_name
        if PERIODIC in options:
            options = {**options, PERIODIC: schedules_of(options[PERIODIC], actor_name, self.parameters, broker)}
        super().__init__(
            fn,
            broker=broker,
            actor_name=actor_name,
            queue_name=queue_of(actor_name, queue_name),
            priority=priority,
            options=options,
        )
        for queue in self.further_queues:
            broker.declare_queue(queue)

    @property
    def further_queues(self) -> set[str]:
        """The queues, beside its own, to which its schedules send."""
        return {each.queue for each in self.options.get(PERIODIC, ()) if each.queue is not None}

    def restore(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return arguments that came as JSON with the types that the function's hints say.

        Raises:
            ArgumentsError: one does not fit its hint.
        """
        return self.parameters.restore(args, kwargs)

    def restore_result(self, value: Any) -> Any:
        """Return a result that came as JSON with the type of the function's return hint, if it fits."""
        return self.parameters.restore_result(value)

    def send(self, *args: P.args, **kwargs: P.kwargs) -> Message[R]:
        """Send a message for a worker to run, and return it once RabbitMQ has confirmed it.

        Raises:
            ArgumentsError: the arguments do not fit the function's signature.
            NotEncodable: one can't travel as JSON.
            MessageTooLarge: together they are over ``ACTORS_MAX_MESSAGE_BYTES``.
            EnqueueError: RabbitMQ did not confirm the message.
        """
        return self.send_with_options(args=args, kwargs=kwargs)

    def send_with_options(  # type: ignore[override]  # Dramatiq takes any option; here they are known
        self,
        *,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        delay: timedelta | int | None = None,
        eta: datetime | None = None,
        **options: Unpack[MessageOptions],
    ) -> Message[R]:
        """Send a message with options of its own.

        Args:
            args: positional arguments of the function.
            kwargs: keyword arguments of the function.
            delay: how long to wait before it may run; an int is milliseconds.
            eta: the earliest time to run it, with a time zone; the past means now.
            **options: options of this message that differ from its actor's.

        Raises:
            ArgumentsError: *eta* has no time zone, or comes together with *delay*; else as for :meth:`send`.
            DeclarationError: an option is unknown, or its value could not work.
        """
        self.parameters.check(args, kwargs or {})
        delay_ms = _delay_ms(self.actor_name, delay, eta)
        message = self.message_with_options(args=args, kwargs=kwargs, **options)
        return cast("Message[R]", self.broker.enqueue(message, delay=delay_ms))

    def message_with_options(
        self, *, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None, **options: Any
    ) -> Message[R]:
        """Return a message that is not sent yet, for ``enqueue_many``, groups and pipelines.

        Raises:
            DeclarationError: an option is unknown, or its value could not work.
        """
        if options:
            known = self.broker.actor_options | OPTIONS | _MESSAGE_OPTIONS
            _refuse_unknown(self.actor_name, options, known, {"delay", "eta"})
            options = _in_message(options, self.policy, self.retry_policy, self.concurrency_policy)
        message = super().message_with_options(args=args, kwargs=kwargs, **options)
        return Message(**message.asdict())


class ActorDecorator(Protocol):
    """What ``actor(...)`` with options returns."""

    @overload
    def __call__(self, fn: Callable[P, Awaitable[R]]) -> Actor[P, R]: ...

    @overload
    def __call__(self, fn: Callable[P, R]) -> Actor[P, R]: ...


@overload
def actor(fn: Callable[P, Awaitable[R]]) -> Actor[P, R]: ...


@overload
def actor(fn: Callable[P, R]) -> Actor[P, R]: ...


@overload
def actor(
    *, actor_name: str | None = None, queue_name: str = "default", priority: int = 0, **options: Unpack[ActorOptions]
) -> ActorDecorator: ...


def actor(
    fn: Callable[..., Any] | None = None,
    *,
    actor_name: str | None = None,
    queue_name: str = "default",
    priority: int = 0,
    **options: Any,
) -> Any:
    """Declare a function as an actor.

    Args:
        fn: the function, plain or async; defined at the top level of a module that workers import.
        actor_name: what messages call it; default the function's name. Keep it when you rename the function.
        queue_name: its queue, unless ``ACTORS_QUEUE_ROUTES`` says otherwise.
        priority: among messages that a worker holds, a lower number runs first.
        **options: see :class:`~actors.options.ActorOptions`.

    Raises:
        DeclarationError: an option is unknown or its value could not work, the name is taken, or the function is
            nested in another.
    """

    def declare(fn: Callable[..., Any]) -> Actor[..., Any]:
        broker = dramatiq.get_broker()
        name = actor_name or str(getattr(fn, "__name__", repr(fn)))
        _refuse_unknown(name, options, broker.actor_options | OPTIONS | _DECLARED)
        _refuse_taken(name, broker)
        # In a test the worker is in the same process, and finds a nested function as well.
        if not isinstance(broker, StubBroker):
            _refuse_unimportable(name, fn)
        if not re.fullmatch(QUEUE_NAME, queue_name):
            raise DeclarationError(
                f"actor {name!r}: queue name {queue_name!r} must start with a letter or an underscore, "
                "and go on with letters, digits, dots, dashes or underscores"
            )
        return Actor(fn, broker=broker, actor_name=name, queue_name=queue_name, priority=priority, options=options)

    return declare if fn is None else declare(fn)


def _refuse_unknown(name: str, options: Iterable[str], known: set[str], elsewhere: Iterable[str] = ()) -> None:
    """Refuse the first of *options* that is not known; what is known *elsewhere* may only be what was meant."""
    for option in options:
        if option not in known:
            hint = did_you_mean(option, [*known, *elsewhere])
            raise DeclarationError(f"actor {name!r}: unknown option {option!r}{hint}")


def _refuse_taken(name: str, broker: dramatiq.Broker) -> None:
    taken = broker.actors.get(name)
    if taken is not None:
        raise DeclarationError(
            f"actor {name!r}: the name is taken by {taken.fn.__module__}.{taken.fn.__qualname__}; "
            "give one of them another actor_name="
        )


def _refuse_unimportable(name: str, fn: Callable[..., Any]) -> None:
    qualname = getattr(fn, "__qualname__", "")
    if "<lambda>" in qualname or "<locals>" in qualname:
        raise DeclarationError(
            f"actor {name!r}: {qualname} is not at the top level of its module, where workers look for it; "
            "move it there"
        )


def _policies(
    options: Mapping[str, Any], fn: Callable[..., Any], name: str
) -> tuple[Policy, RetryPolicy, ConcurrencyPolicy]:
    try:
        return (
            Policy.of(options, fn, name, idempotency_defaults()),
            RetryPolicy.of(options, name, retry_defaults()),
            ConcurrencyPolicy.of(options, fn, name),
        )
    except (InvalidKey, InvalidPolicy) as invalid:
        raise DeclarationError(str(invalid)) from None


def _in_message(options: dict[str, Any], *policies: Policy | RetryPolicy | ConcurrencyPolicy) -> dict[str, Any]:
    """Return a message's options as they travel: durations in milliseconds."""
    own = {
        name: milliseconds(value) if name in DURATIONS | RETRY_DURATIONS and isinstance(value, timedelta) else value
        for name, value in options.items()
    }
    try:
        for policy in policies:
            policy.overridden_by(own)
    except (InvalidKey, InvalidPolicy) as invalid:
        raise DeclarationError(str(invalid)) from None
    return own


def _delay_ms(name: str, delay: Any, eta: datetime | None) -> int | None:
    """Return the delay in milliseconds, rounded up, or None for none.

    Raises:
        ArgumentsError: both are given, *eta* has no time zone, or it is no delay of at most a year.
    """
    if delay is not None and eta is not None:
        raise ArgumentsError(f"actor {name!r}: give delay= or eta=, not both")
    if eta is not None:
        if eta.utcoffset() is None:
            raise ArgumentsError(
                f"actor {name!r}: eta={eta.isoformat()} has no time zone; "
                "use datetime.now(UTC), or .replace(tzinfo=ZoneInfo('…'))"
            )
        delay = eta - datetime.now(UTC)
    if isinstance(delay, timedelta):
        delay = milliseconds(delay)
    if delay is None:
        return None
    if not isinstance(delay, int) or isinstance(delay, bool):
        raise ArgumentsError(f"actor {name!r}: delay={delay!r} must be an int of milliseconds, or a timedelta")
    if delay > YEAR_MS:
        raise ArgumentsError(
            f"actor {name!r}: a delay of {timedelta(milliseconds=delay).days:,} days is longer than a year (366 days); "
            "keep such dates in your own database, and send when they are near"
        )
    return delay if delay > 0 else None
