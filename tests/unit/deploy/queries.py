"""What a query of Prometheus's names."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.unit.deploy.every_metric import every_metric

# What Prometheus adds, and what the words of its language are.
ITS_LABELS = {"instance", "job", "le"}
LABELS = re.compile(r"\b(?:by|on|without|ignoring) \((?P<names>[^)]*)\)")
MATCHERS = re.compile(r"\{(?P<matchers>[^}]*)\}")
SERIES = re.compile(r"\b(?P<name>up|actors_\w+)(?P<matchers>\{[^}]*\})?")


def problems(query: str) -> Iterator[str]:
    """Yield what *query* names that there is not."""
    known = {series: set(row.labels) for row in every_metric() for series in row.series} | {"up": set()}
    named: set[str] = set()
    for found in SERIES.finditer(re.sub(r'"[^"]*"', '""', query)):
        if found["name"] not in known:
            yield f"{found['name']}: no such series"
            continue
        labels = known[found["name"]] | ITS_LABELS
        named |= labels
        for matcher in filter(None, (found["matchers"] or "").strip("{}").split(",")):
            label = re.split(r"[=!~]", matcher, maxsplit=1)[0].strip()
            if label not in labels:
                yield f"{found['name']}: no label {label!r}"
    if not named:
        yield f"{query!r} names no series"
    for found in LABELS.finditer(query):
        yield from (
            f"{label!r} is a label of nothing in {query!r}"
            for label in map(str.strip, found["names"].split(","))
            if label not in named
        )


def values(query: str) -> Iterator[tuple[str, str]]:
    """Yield each label of *query* with each value that it is held against."""
    for matchers in MATCHERS.finditer(query):
        for label, value in re.findall(r'(\w+)\s*[=!]~?\s*"([^"]*)"', matchers["matchers"]):
            yield from ((label, each) for each in value.split("|"))
