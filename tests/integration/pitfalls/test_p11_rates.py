"""Pitfall 11: "over a hundred scheduled jobs a second is too much for one process", and nobody has measured it."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from benchmarks.periodic.arrivals import Arrival
from benchmarks.periodic.plan import Plan
from benchmarks.periodic.trials import SILENCE_WITHIN_S, silence_ms

PUBLISHED = Path(__file__).parents[3] / "docs/benchmarks/periodic.md"


def test_p11_the_published_page_has_rates_lateness_start_and_memory_of_ours_and_of_others() -> None:
    systems, failovers = re.findall(r"(?:^\|.*\n)+", PUBLISHED.read_text(), re.MULTILINE)
    heading, _, *lines = systems.splitlines()
    assert all(column in heading for column in ("most ticks/s", "p50, ms", "p99, ms", "start, s", "memory, MB"))
    assert [line.split(" | ")[0].strip("| ") for line in lines] == ["ours", "APScheduler", "Celery beat"]
    assert re.findall(r"^\| ([\d,]+) \| [\d,]+ \| [\d,]+ \|$", failovers, re.MULTILINE) == ["10", "1,000", "10,000"]


def test_p11_the_ticks_of_the_benchmark_come_evenly_and_their_lateness_counts_from_when_they_are_due() -> None:
    plan = Plan(schedules=10_000, rate=500)
    assert plan.every == timedelta(seconds=20)
    assert plan.first(5_001) - plan.first(5_000) == timedelta(milliseconds=2)

    due = plan.last(5_000)
    assert (due - plan.first(5_000)) % plan.every == timedelta()
    assert plan.late_ms(5_000, due.timestamp() + 0.25) == pytest.approx(250, abs=0.1)


def test_p11_a_failover_is_the_longest_silence_after_the_kill() -> None:
    came = [Arrival(1, at) for at in (10.001, 10.002, 10.052, 10.054)]
    assert silence_ms(10.0, came) == pytest.approx(50)
    assert silence_ms(10.0, came[3:]) == pytest.approx(54)
    assert silence_ms(10.0, []) == SILENCE_WITHIN_S * 1000
