"""What it costs to be told of everything is measured, and published as it is."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.observability.suite import MEASURES, page, rows
from benchmarks.observability.systems import ALL, BARE, LOGS
from tests.integration.pages import tables

PUBLISHED = Path(__file__).parents[3] / "docs/benchmarks/observability.md"
SYSTEMS = [f"{place}: {name}" for place in ("file", "RabbitMQ") for name in (BARE, LOGS, ALL)]


def test_the_page_has_each_worker_beside_one_that_tells_nothing() -> None:
    samples = {
        (system, measure): [100.0 - 10 * (ALL in system), 90.0] for system in SYSTEMS for measure in ("drain", "cpu_us")
    }
    [found] = tables(page(rows(samples), "conditions"))
    assert list(found) == SYSTEMS
    assert "**1.00**" in found[f"file: {BARE}"]["drain, jobs/s"]
    assert "**0.95**" in found[f"RabbitMQ: {ALL}"]["drain, jobs/s"]


def test_the_published_page_says_what_was_measured() -> None:
    [found] = tables(PUBLISHED.read_text())
    assert list(found) == SYSTEMS
    for cells in found.values():
        assert list(cells) == [name for name, _ in MEASURES.values()]
        assert all(re.search(r"\*\*\d\.\d\d\*\*$", cell) for cell in cells.values())
