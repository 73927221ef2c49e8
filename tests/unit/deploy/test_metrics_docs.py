"""The table of metrics and the code say the same."""

import re
from pathlib import Path

from tests.unit.deploy.every_metric import Row, every_metric

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"
CELLS = ("name", "kind", "unit", "labels", "where", "meaning", "bound")
ROW = re.compile("".join(["^", *(rf"\| ?(?P<{cell}>[^|\n]*?) ?" for cell in CELLS), r"\|$"]), re.MULTILINE)


def rows() -> list[re.Match[str]]:
    return [found for found in ROW.finditer(PAGE.read_text()) if found["name"].startswith("`actors_")]


def documented() -> list[Row]:
    return [
        Row(
            found["name"].strip("`"),
            found["kind"],
            found["unit"],
            tuple(re.findall(r"`(\w+)`", found["labels"])),
            found["where"],
            found["meaning"],
        )
        for found in rows()
    ]


def test_the_table_has_every_metric_and_no_other() -> None:
    assert documented() == every_metric()


def test_each_has_a_bound_for_its_series() -> None:
    assert all(found["bound"].strip() for found in rows())


def test_names_are_of_one_scheme() -> None:
    for row in every_metric():
        assert re.fullmatch(r"actors_[a-z_]+", row.name), row
        assert row.name.endswith("_total") == (row.kind == "counter"), row
        assert not row.unit or row.name.endswith(f"_{row.unit}"), row
        assert row.meaning.endswith("."), row
        assert set(row.labels) <= {"actor", "outcome", "queue", "reason", "result", "role", "schedule", "state"}, row
