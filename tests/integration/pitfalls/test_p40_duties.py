"""Pitfall 40: nobody knows who owns timeouts, retries, logs and cleaning up."""

import importlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pytest

from actors.configuration import Settings, variable

PAGE = (Path(__file__).parents[3] / "docs" / "duties.md").read_text()
FIELDS = {variable(field): info for field, info in Settings.model_fields.items()}


@dataclass(frozen=True)
class Duty:
    what: str
    module: str
    setting: str
    default: str


def duties() -> list[Duty]:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("|")]
    return [Duty(*row) for row in rows if row[0] not in ("duty", "---")]


def is_a_limit(annotation: Any) -> bool:
    """Whether a setting is a duration, a size or a number."""
    parts = [annotation, *get_args(annotation)]
    return any(each is int or getattr(each, "__origin__", None) is int for each in parts)


def told(default: Any) -> str:
    """How the page tells of a default."""
    if default in (None, ""):
        return "unset"
    return f"{default:,}" if isinstance(default, int | float) else str(default)


@pytest.mark.parametrize("duty", duties(), ids=lambda duty: duty.what)
def test_p40_each_duty_has_one_module_that_is_there_and_its_true_default(duty: Duty) -> None:
    names = re.findall(r"`([\w.]+)`", duty.module)
    assert len(names) == 1
    module = importlib.import_module(names[0])
    assert module.__name__.partition(".")[0] in {"actors", "middleware", "periodic", "dramatiq"}

    named = re.fullmatch(r"`(\w+)`", duty.setting)
    if named is None:
        assert duty.default
    elif named[1] in FIELDS:
        assert duty.default.partition(":")[0] == told(FIELDS[named[1]].default)
    else:
        assert duty.default == told(getattr(module, named[1]))


def test_p40_no_setting_that_is_a_limit_is_left_out_or_named_twice() -> None:
    named = [name for duty in duties() for name in re.findall(r"`(ACTORS_\w+)`", duty.setting)]
    limits = {name for name, info in FIELDS.items() if is_a_limit(info.annotation)}

    assert len(named) == len(set(named))
    assert limits - set(named) == set()
    assert {variable("prefetch"), variable("dead_letter_retention_ms"), variable("stuck_after_s")} <= limits
