"""The pause before a retry, whatever the bounds and however many retries there were."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from middleware.retry_policy import RetryPolicy

YEAR_MS = 366 * 86_400_000

retries = st.integers(0, 2**62)
durations = st.integers(1, YEAR_MS)


def policy(**options: Any) -> RetryPolicy:
    return RetryPolicy.of(options, "charge")


@given(retries, durations, durations)
def test_a_pause_lies_between_the_shortest_and_the_longest(retried: int, one: int, other: int) -> None:
    shortest, longest = sorted((one, other))
    jittered = policy(min_backoff=shortest, max_backoff=longest)

    for uniform in (min, max, random.uniform):
        assert shortest <= jittered.backoff_ms(retried, uniform) <= longest


@given(st.integers(0, 30), durations)
def test_jitter_spreads_a_pause_up_to_twice_what_it_has_doubled_to(retried: int, shortest: int) -> None:
    asked: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        asked.append((low, high))
        return low

    policy(min_backoff=shortest, max_backoff=YEAR_MS).backoff_ms(retried, uniform)

    assert asked == [(shortest, min(2 * shortest * 2**retried, YEAR_MS))]


@given(st.integers(0, 30), durations)
def test_without_jitter_a_pause_doubles_exactly(retried: int, shortest: int) -> None:
    plain = policy(min_backoff=shortest, max_backoff=YEAR_MS, jitter=False)

    assert plain.backoff_ms(retried, random.uniform) == min(shortest * 2**retried, YEAR_MS)


@given(retries, durations, durations)
def test_a_pause_needs_few_moves_of_a_durable_delay(retried: int, one: int, other: int) -> None:
    """It is moved once for each bit of its hundreds of milliseconds, and once for what is below them."""
    shortest, longest = sorted((one, other))
    pause = policy(min_backoff=shortest, max_backoff=longest).backoff_ms(retried, random.uniform)

    hundreds, rest = divmod(pause, 100)
    assert pause == longest or hundreds.bit_count() <= 3
    assert pause == longest or rest == 0 or hundreds < 8


@given(st.integers(1, YEAR_MS))
def test_rounding_makes_a_pause_longer_by_a_quarter_at_most(wanted: int) -> None:
    pause = policy(min_backoff=1, max_backoff=YEAR_MS).backoff_ms(40, lambda low, high: wanted)

    assert wanted <= pause <= wanted * 5 / 4
