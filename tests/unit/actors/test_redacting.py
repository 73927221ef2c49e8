"""Where the rule of what log lines may say is found, and what comes of one that is not there."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from actors.configuration import Settings, read
from actors.errors import LoadingError, SettingsError
from actors.redacting import function_at, redaction_of
from middleware.redaction import redacted


def hide(fields: dict[str, Any]) -> dict[str, Any]:
    return {**fields, "args": "…"}


class Rules:
    hide = staticmethod(hide)


def test_a_rule_is_named_by_its_place_or_given() -> None:
    for chosen in (f"{__name__}:hide", f"{__name__}:Rules.hide", hide):
        redact = redaction_of(chosen)
        assert redact is not None
        assert redact({"args": "[7]"}) == {"args": "…"}
    assert redaction_of("") is None


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("no_such_module:hide", "can't be imported: ModuleNotFoundError: No module named 'no_such_module'"),
        (f"{__name__}:nothing", f"can't be imported: AttributeError: module '{__name__}' has no attribute 'nothing'"),
        (f"{__name__}:__name__", "is no function, but of type str"),
    ],
)
def test_a_rule_that_is_not_there_is_an_error_and_costs_no_line(place: str, why: str) -> None:
    with pytest.raises(LoadingError, match=f"^ACTORS_LOG_REDACT={place} {why}$"):
        function_at(place)

    redact = redaction_of(place)
    assert redact is not None
    assert redacted({"args": "[7]", "actor": "charge"}, None, redact) == (
        {"actor": "charge", "redaction_failed": "LoadingError"},
        None,
    )


def test_the_modules_of_a_rule_are_imported_when_it_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "late_rules.py").write_text("def redact(fields):\n    fields.clear()\n")
    monkeypatch.syspath_prepend(tmp_path)

    redact = redaction_of("late_rules:redact")
    assert "late_rules" not in sys.modules
    assert redact is not None
    assert redacted({"args": "[7]"}, None, redact) == ({}, None)


def test_settings_show_the_place_of_a_rule() -> None:
    settings = read({"log_redact": hide})

    assert settings.log_redact is hide
    assert settings.model_dump(mode="json")["log_redact"] == f"{__name__}:hide"
    assert Settings.model_construct().model_dump(mode="json")["log_redact"] == ""


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("LOG_REDACT", "shop.logs.redact", "not the place of a function; write module:function, such as"),
        ("LOG_CONTEXT", "request-id", "'request-id' is no name of a variable of at most 50 characters"),
        ("LOG_CONTEXT", "tenant,actor", "log lines have a field 'actor' of their own; bind it under another name"),
        ("LOG_CONTEXT", ",".join(f"v{number}" for number in range(11)), "11 names; at most 10 travel"),
    ],
)
def test_what_could_not_work_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str, problem: str) -> None:
    monkeypatch.setenv(f"ACTORS_{name}", value)

    with pytest.raises(SettingsError, match=f"^ACTORS_{name}: .*{problem}"):
        read({})
