"""What commands are given as text."""

from datetime import UTC, datetime

import pytest
import typer

from actors.cli.arguments import parse_arguments, parse_delay

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("0", 0),
        ("1500", 1_500),
        ("1500ms", 1_500),
        ("30s", 30_000),
        ("5m", 300_000),
        ("1h30m", 5_400_000),
        ("2d", 172_800_000),
        ("3660d", 316_224_000_000),
    ],
)
def test_a_delay_is_milliseconds_or_has_units(text: str, milliseconds: int) -> None:
    assert parse_delay(text, None, now=NOW) == milliseconds


@pytest.mark.parametrize("text", ["", "5 m", "five", "-5m", "1.5h", "5w", "3661d", "9" * 20, "5m3"])
def test_any_other_delay_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        parse_delay(text, None, now=NOW)


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("2026-03-01T12:00:01Z", 1_000),
        ("2026-03-01T20:00:00.0001+08:00", 1),
        ("2026-03-01T12:00:00Z", 0),
        ("2020-01-01T00:00Z", 0),
    ],
)
def test_an_eta_is_rounded_up_and_the_past_is_now(text: str, milliseconds: int) -> None:
    assert parse_delay(None, text, now=NOW) == milliseconds


@pytest.mark.parametrize("text", ["2026-03-01", "2026-03-01T12:00"])
def test_an_eta_without_zone_is_refused_with_both_ways_to_write_it(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"no time zone; write 2026-03-01T\d\d:00:00Z .* 2026-03-01T\d\d"):
        parse_delay(None, text, now=NOW)


def test_an_eta_that_is_no_time_is_refused() -> None:
    with pytest.raises(typer.BadParameter, match="ISO 8601"):
        parse_delay(None, "tomorrow", now=NOW)


def test_delay_and_eta_together_are_refused() -> None:
    with pytest.raises(typer.BadParameter, match="not both"):
        parse_delay("5m", "2026-03-01T12:00Z", now=NOW)


def test_neither_is_no_delay() -> None:
    assert parse_delay(None, None, now=NOW) is None


def test_arguments_are_a_list_and_an_object() -> None:
    assert parse_arguments('[1, "a", null]', '{"x": [true]}') == ((1, "a", None), {"x": [True]})


@pytest.mark.parametrize(
    ("args", "kwargs", "advice"),
    [
        ("42", "{}", r"not a list; write \[42\]"),
        ("[42", "{}", "not JSON .* write '\\[1, \"two\"\\]'"),
        ("[]", "[]", "not an object"),
        ("[]", "{x: 1}", "not JSON"),
        ("[" * 100_000, "{}", "not JSON"),
    ],
)
def test_anything_else_is_refused_with_what_to_write(args: str, kwargs: str, advice: str) -> None:
    with pytest.raises(typer.BadParameter, match=advice):
        parse_arguments(args, kwargs)
