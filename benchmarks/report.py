"""What a suite found, as rows and as the page docs/benchmarks/SUITE.md."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

Row = dict[str, object]


@dataclass(frozen=True)
class Report:
    """All of one suite.

    Attributes:
        rows: one a system and measure: median, extremes, and the ratio to the baseline.
        conditions: what the numbers depend on.
        page: both in Markdown.
    """

    rows: list[Row]
    conditions: str
    page: str


def summary(values: Sequence[float], digits: int | None = None) -> dict[str, float]:
    """Return the median of *values* and their extremes, rounded to *digits*."""
    return {
        "median": round(median(values), digits),
        "min": round(min(values), digits),
        "max": round(max(values), digits),
    }


def spread(row: Row) -> str:
    """Return "median (min-max)"; the median alone where all rounds agree, or there was one."""
    if row["min"] == row["max"]:
        return f"{row['median']:,}"
    return f"{row['median']:,} ({row['min']:,}-{row['max']:,})"


def ratio(row: Row, base: Row | None, *, more: bool) -> str:
    """Return how many times as good as *base* a row is, to stand behind its median; empty where that says nothing.

    Args:
        row: of one system.
        base: of the one that it is compared with; None if that was not measured.
        more: whether more is better.
    """
    if base is None or not row["median"] or not base["median"]:
        return ""
    times = float(str(row["median"])) / float(str(base["median"]))
    return f" **{times if more else 1 / times:.2f}**"


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table."""
    lines = [f"| {' | '.join(cells)} |" for cells in (heading, *rows)]
    return [lines[0].replace("|  |", "| |"), "|---" * len(heading) + "|", *lines[1:]]
