"""When a message is tried again: an actor's retry options, and those of a single message."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any, TypedDict

from middleware.options import (
    YEAR_MS,
    Check,
    InvalidPolicy,
    Wrong,
    a_count,
    a_duration,
    a_flag,
    checked,
    or_none,
    refuse_timedeltas,
)
from middleware.predicates import Predicate, Retryable

DURATIONS = frozenset({"min_backoff", "max_backoff", "max_age"})
# The shortest hold of a durable delay, and how many bits of a pause matter.
_UNIT_MS = 100
_KEPT_BITS = 3


class RetryOptions(TypedDict, total=False):
    """The options that an actor may have, and each of its messages otherwise.

    Attributes:
        max_retries: how often a message is tried again; None for no limit; default 5.
        min_backoff: the shortest pause before a retry, in milliseconds or as a timedelta; default 15 seconds.
        max_backoff: the longest, whoever asks for it but the job itself; default 7 days.
        jitter: whether pauses are spread at random; default True.
        max_age: how old a message may be when an attempt starts, in milliseconds or as a timedelta, from when it could
            first run; default no limit.
    """

    max_retries: int | None
    min_backoff: int | timedelta
    max_backoff: int | timedelta
    jitter: bool
    max_age: int | timedelta | None


@dataclass(frozen=True, slots=True)
class RetryDefaults:
    """What holds for actors that do not say otherwise; durations are milliseconds."""

    max_retries: int | None = 5
    min_backoff_ms: int = 15_000
    max_backoff_ms: int = 7 * 86_400_000


_DEFAULTS = RetryDefaults()


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """The options in effect for one message; see :class:`RetryOptions`.

    Attributes:
        actor_name: whose message it is.
        retry_when: the predicate, or None.
        throws: errors that are never retried.

    Raises:
        InvalidPolicy: the shortest pause is longer than the longest.
    """

    actor_name: str
    max_retries: int | None
    min_backoff_ms: int
    max_backoff_ms: int
    jitter: bool = True
    max_age_ms: int | None = None
    retry_when: Predicate | None = None
    throws: tuple[type[BaseException], ...] = ()

    def __post_init__(self) -> None:
        if self.min_backoff_ms > self.max_backoff_ms:
            raise InvalidPolicy(
                f"actor {self.actor_name!r}: min_backoff={self.min_backoff_ms:,} ms is longer than "
                f"max_backoff={self.max_backoff_ms:,} ms; change one of them"
            )

    @classmethod
    def of(cls, options: Mapping[str, Any], actor_name: str, defaults: RetryDefaults = _DEFAULTS) -> RetryPolicy:
        """Return the policy of an actor that has *options*; those that are not of retries are ignored.

        Raises:
            InvalidPolicy: the value of one could not work.
        """
        given = checked(options, {**_CHECKS, **_ACTOR_CHECKS}, actor_name)
        return cls(actor_name=actor_name, **asdict(defaults))._with(given)

    def overridden_by(self, options: Mapping[str, Any]) -> RetryPolicy:
        """Return the policy of a message that has *options*; durations there are int milliseconds.

        Raises:
            InvalidPolicy: the value of one could not work.
        """
        refuse_timedeltas(options, DURATIONS, self.actor_name)
        return self._with(checked(options, _CHECKS, self.actor_name))

    def _with(self, given: dict[str, Any]) -> RetryPolicy:
        # A bound that is given moves the other, which is not, out of its way.
        if "max_backoff_ms" in given:
            given.setdefault("min_backoff_ms", min(self.min_backoff_ms, given["max_backoff_ms"]))
        elif "min_backoff_ms" in given:
            given["max_backoff_ms"] = max(self.max_backoff_ms, given["min_backoff_ms"])
        return replace(self, **given) if given else self

    def backoff_ms(self, retries: int, uniform: Callable[[float, float], float]) -> int:
        """Return the pause before the next attempt, in milliseconds, once *retries* have failed before this one.

        The pause doubles with each retry, up to ``max_backoff``. With jitter it lies anywhere between ``min_backoff``
        and twice that, evenly: "full jitter", with a floor (Marc Brooker, "Exponential Backoff And Jitter", 2015).

        Args:
            retries: 0 after the first attempt.
            uniform: ``random.uniform``.
        """
        # Beyond 2 ** 40 any pause is longer than the longest.
        doubled = self.min_backoff_ms << min(retries, 40)
        if not self.jitter:
            return min(doubled, self.max_backoff_ms)
        pause = uniform(self.min_backoff_ms, min(2 * doubled, self.max_backoff_ms))
        return min(_with_few_bits(round(pause)), self.max_backoff_ms)


def _with_few_bits(ms: int) -> int:
    """Return *ms* rounded up, to three significant bits: a durable delay is moved once for each bit that is set."""
    bits = (ms // _UNIT_MS).bit_length() - _KEPT_BITS
    if bits <= 0:
        return ms
    unit = _UNIT_MS << bits
    return -(ms // -unit) * unit


def _predicate(value: object) -> Predicate:
    if isinstance(value, type) or not (callable(value) or isinstance(value, Retryable)):
        raise Wrong("must be a function of retries and error, or a Retryable such as by_type(ConnectionError)")
    called = value.decide if isinstance(value, Retryable) else value
    if any(map(inspect.iscoroutinefunction, (called, type(called).__call__))):
        raise Wrong("must not be async; it is called where no event loop runs")
    if isinstance(value, Retryable):
        return value
    try:
        inspect.signature(value).bind(0, Exception())
    except TypeError:
        raise Wrong("must take two arguments: how many retries there were, and the error") from None
    except ValueError:
        pass  # a builtin that does not tell
    return value


def _errors(value: object) -> tuple[type[BaseException], ...]:
    types = value if isinstance(value, tuple) else () if value is None else (value,)
    if not all(isinstance(each, type) and issubclass(each, BaseException) for each in types):
        raise Wrong("must be a class of errors, or a tuple of them")
    return types


# By option: the field of RetryPolicy, and what makes its value.
_CHECKS: dict[str, tuple[str, Check]] = {
    "max_retries": ("max_retries", or_none(a_count(0))),
    "min_backoff": ("min_backoff_ms", a_duration(1, YEAR_MS)),
    "max_backoff": ("max_backoff_ms", a_duration(1, YEAR_MS)),
    "jitter": ("jitter", a_flag),
    "max_age": ("max_age_ms", or_none(a_duration(1, 10 * YEAR_MS))),
    # Of a message only in Dramatiq's in-process encodings; JSON has no classes.
    "throws": ("throws", _errors),
}
_ACTOR_CHECKS: dict[str, tuple[str, Check]] = {"retry_when": ("retry_when", or_none(_predicate))}

OVERRIDES = frozenset(_CHECKS)
