"""What is measured of a worker without a server."""

import re
from pathlib import Path

import pytest

from benchmarks.embedded.page import RATES, WAITING, page
from benchmarks.embedded.suite import measure, rows
from benchmarks.embedded.systems import OURS, UNGUARDED
from tests.integration.pages import tables

PUBLISHED = Path(__file__).parents[3] / "docs/benchmarks/embedded.md"
SYSTEMS = ["ours", "ours, idempotent=False", "huey", "huey, fsync=False", "Dramatiq on Redis"]

# How many times as fast as huey a worker is to be.
TARGET = 1.5


@pytest.mark.long  # it starts a dozen processes
def test_the_benchmark_measures_rates_and_a_worker_that_waits() -> None:
    loads: list[float] = []
    samples = measure([OURS, UNGUARDED], None, rounds=1, messages=300, loads=loads)
    assert len(loads) == 4
    assert {measured for _, measured in samples} == RATES.keys() | WAITING.keys()
    for system in (OURS, UNGUARDED):
        value = {measured: values[0] for (name, measured), values in samples.items() if name == system.name}
        assert all(value[name] > 0 for name in value.keys() - {"idle_percent"})
        assert 0 < value["p50"] <= value["p99"]
        assert value["drain"] < 1e6 / value["cpu_us"] * 2
    first, second = tables(page(rows(samples), [], "conditions"))
    assert first.keys() == second.keys() == {"ours", "ours, idempotent=False"}


def test_the_published_page_compares_all_systems_and_the_target_is_reached() -> None:
    rates, waiting = tables(PUBLISHED.read_text())
    assert list(rates) == list(waiting) == SYSTEMS
    assert list(rates["ours"]) == [name for name, _ in RATES.values()]
    assert list(waiting["ours"]) == [name for name, _ in WAITING.values()]
    ratio = re.search(r"\*\*([\d.]+)\*\*", rates["ours"]["drain, jobs/s"])
    assert ratio is not None
    assert float(ratio[1]) >= TARGET
