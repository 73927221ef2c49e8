"""Pitfall 5: delayed messages run seconds late, and nobody has measured it."""

import re
from pathlib import Path

import services
from benchmarks.delays.lateness import percentile
from benchmarks.delays.page import page
from benchmarks.delays.plan import Size
from benchmarks.delays.suite import measure, rows
from benchmarks.delays.systems import OURS
from tests.integration.pages import tables

PUBLISHED = Path(__file__).parents[3] / "docs/benchmarks/delays.md"

TINY = Size(hoard=0, light=20, steady=200, burst=200, rate=200, latest_s=4, lead_s=2)
COLUMNS = {"p50, ms", "p99, ms", "max, ms", "earliest, ms", "lost", "run again"}


def test_p05_the_benchmark_measures_how_late_each_delayed_message_is_and_none_is_early_or_lost(
    rabbitmq_server: services.RabbitMQ, redis_server: services.Redis, prefix: str
) -> None:
    samples = measure(rabbitmq_server, redis_server, [OURS], ["lateness"], 1, TINY, prefix=prefix)
    for load in ("light", "steady", "burst"):
        value = {name: values[0] for (_, each, name), values in samples.items() if each == load}
        assert value["lost"] == value["again"] == 0
        # RabbitMQ's headers have whole milliseconds.
        assert -1 < value["earliest"] <= value["p50"] <= value["p99"] <= value["max"] < 30_000
    lateness = tables(page(rows(samples), TINY, [], "conditions"))[:3]
    assert all(table["ours"].keys() >= COLUMNS for table in lateness)


def test_p05_the_published_page_has_p50_p99_and_max_of_ours_and_of_others() -> None:
    lateness = [each for each in tables(PUBLISHED.read_text()) if each.get("ours", {}).keys() >= COLUMNS]
    assert len(lateness) == 3
    for each in lateness:
        assert each.keys() >= {"plain", "ours", "Celery"}
        for system in each.values():
            assert all(re.match(r"-?[\d,]+", system[column]) for column in COLUMNS)
        assert (each["ours"]["lost"], each["ours"]["run again"]) == ("0", "0")


def test_p05_a_percentile_is_the_least_value_that_so_many_do_not_exceed() -> None:
    assert [percentile(range(1, 201), percent) for percent in (50, 99, 100)] == [100, 198, 200]
    assert percentile([7.5], 99) == 7.5
