from __future__ import annotations

import os

import pytest

from actors.configuration import read
from actors.errors import SettingsError
from middleware.retry_policy import RetryDefaults

YEAR_MS = 366 * 86_400_000


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("ACTORS_"):
            monkeypatch.delenv(name)


def test_the_defaults_are_those_of_the_middleware() -> None:
    settings, defaults = read({}), RetryDefaults()

    assert (settings.max_retries, settings.min_backoff_ms, settings.max_backoff_ms) == (5, 15_000, 604_800_000)
    assert settings.max_retries == defaults.max_retries
    assert (settings.min_backoff_ms, settings.max_backoff_ms) == (defaults.min_backoff_ms, defaults.max_backoff_ms)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ACTORS_MAX_RETRIES", 0),
        ("ACTORS_MAX_RETRIES", 1_000),
        ("ACTORS_MIN_BACKOFF_MS", 1),
        ("ACTORS_MIN_BACKOFF_MS", 604_800_000),
        ("ACTORS_MAX_BACKOFF_MS", 15_000),
        ("ACTORS_MAX_BACKOFF_MS", YEAR_MS),
    ],
)
def test_a_setting_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch, name: str, value: int) -> None:
    monkeypatch.setenv(name, str(value))

    assert getattr(read({}), name.lower().removeprefix("actors_")) == value


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("ACTORS_MAX_RETRIES", "-1", "'-1': input should be greater than or equal to 0"),
        ("ACTORS_MAX_RETRIES", "", "'': input should be a valid integer, unable to parse string as an integer"),
        ("ACTORS_MIN_BACKOFF_MS", "0", "'0': input should be greater than 0"),
        ("ACTORS_MIN_BACKOFF_MS", str(YEAR_MS + 1), f"'31622400001': input should be less than or equal to {YEAR_MS}"),
        (
            "ACTORS_MIN_BACKOFF_MS",
            "1s",
            "'1s': input should be a valid integer, unable to parse string as an integer",
        ),
        ("ACTORS_MAX_BACKOFF_MS", str(YEAR_MS + 1), f"'31622400001': input should be less than or equal to {YEAR_MS}"),
        (
            "ACTORS_MAX_BACKOFF_MS",
            "14999",
            "'14999': it is shorter than ACTORS_MIN_BACKOFF_MS, which is 15000",
        ),
    ],
)
def test_a_setting_that_could_not_work_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, problem: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError) as error:
        read({})
    assert str(error.value) == f"{name}: {problem}"


def test_the_shortest_pause_is_held_against_the_default_of_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTORS_MIN_BACKOFF_MS", "604800001")

    with pytest.raises(SettingsError, match=r"^ACTORS_MAX_BACKOFF_MS: .*shorter than ACTORS_MIN_BACKOFF_MS"):
        read({})


@pytest.mark.parametrize(
    ("name", "meant"), [("ACTORS_MAX_RETRY", "ACTORS_MAX_RETRIES"), ("ACTORS_MIN_BACKOFF", "ACTORS_MIN_BACKOFF_MS")]
)
def test_a_setting_that_is_misspelt_is_named(monkeypatch: pytest.MonkeyPatch, name: str, meant: str) -> None:
    monkeypatch.setenv(name, "5")

    with pytest.raises(SettingsError, match=rf"^unknown setting {name}, did you mean '{meant}'\?$"):
        read({})
