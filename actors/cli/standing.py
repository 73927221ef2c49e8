"""Which scheduler leads and which stand by, as commands print it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import typer

from actors.cli.periodic_options import ago
from actors.cli.records import printable
from actors.cli.render import print_table
from actors.operating import Standing

_REPLICAS = ("replica", "role", "since", "lateness", "enqueued", "missed", "last loop", "skew", "ready")


def standing_as_json(standing: Standing) -> dict[str, Any]:
    """Return *standing* in JSON's types."""
    mark = standing.watermark
    return {
        "leader": next((each for each in standing.replicas if each.get("role") == "leading"), None),
        "standbys": [each for each in standing.replicas if each.get("role") != "leading"],
        "silent": standing.silent,
        "watermark": None if mark is None else mark.isoformat(),
        "problem": standing.problem,
    }


def print_standing(standing: Standing) -> None:
    """Print a table of the schedulers, and what is wrong with each."""
    now = datetime.now(UTC)
    if standing.replicas:
        print_table(_REPLICAS, (_replica_row(each, now) for each in standing.replicas))
    if standing.watermark is not None:
        typer.echo(f"\nwatermark: {ago(standing.watermark.isoformat(), now)}")
    for each in standing.replicas:
        for problem in _problems(each):
            typer.echo(f"not ready: {printable(problem)}")
        for name, why in each.get("failing", {}).items():
            typer.echo(f"failing: {printable(name)}: {printable(why)}")
    if standing.silent:
        typer.echo(f"Warning: {standing.silent} more are connected, and did not answer in time", err=True)


def _replica_row(told: Mapping[str, Any], now: datetime) -> tuple[str, ...]:
    late, skew = told.get("lateness_ms"), told.get("skew_ms")
    return (
        printable(str(told.get("replica"))),
        str(told.get("role")),
        ago(told.get("since"), now),
        f"{late:,.1f} ms" if isinstance(late, int | float) and told.get("enqueued") else "-",
        f"{told.get('enqueued', 0):,}",
        f"{told.get('missed', 0):,}",
        ago(told.get("looped_at"), now),
        f"{skew / 1000:+,.1f} s" if isinstance(skew, int | float) else "-",
        "yes" if told.get("ready") else "no",
    )


def _problems(told: Mapping[str, Any]) -> Iterator[str]:
    """Yield what keeps a scheduler from being ready, and what to do about it."""
    for check in told.get("checks", ()):
        if not check.get("ok"):
            advice = f"; {check['advice']}" if check.get("advice") else ""
            yield f"{told.get('replica')}: {check.get('reason')}{advice}"
