"""``actors check``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.text import Text

from actors.checks import Finding, Report
from actors.checks import check as look
from actors.checks.finding import count
from actors.cli.exits import ExitStatus
from actors.cli.logs import leave_outages_to_the_error
from actors.cli.modules import given, prints_to_stderr
from actors.cli.options import DEFAULT_TIMEOUT_S, Json, Modules, MoreModules, TimeoutS
from actors.cli.render import print_json, print_table

_STYLES = {"ok": "green", "warning": "yellow", "error": "bold red"}


def check(
    modules: Modules = None,
    more_modules: MoreModules = None,
    connect: Annotated[bool, typer.Option("--connect", help="Look at RabbitMQ and Redis, or the file, too.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="End with status 1 on warnings, too.")] = False,
    timeout_s: TimeoutS = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Check settings, actors, and with --connect the servers, or the file.

    It never changes anything: no queue is made, no message is removed.
    """
    leave_outages_to_the_error()
    with prints_to_stderr():
        report = look(given(modules, more_modules), connect=connect, timeout_s=timeout_s)
    if as_json:
        print_json(
            {"status": report.status, "identity": report.identity, "findings": list(map(asdict, report.findings))}
        )
    else:
        if report.identity is not None:
            print_table(("this process", ""), _identity_rows(report.identity))
            typer.echo()
        print_table(("status", "check", "subject", "found"), map(_row, report.findings))
        typer.echo(f"\n{_summary(report)}")
    raise typer.Exit(exit_status(report, strict=strict))


def exit_status(report: Report, *, strict: bool) -> ExitStatus:
    """Return how a check with these findings ends."""
    if report.failed("settings", "modules"):
        return ExitStatus.USAGE
    if report.failed("rabbitmq", "redis", "file"):
        return ExitStatus.UNREACHABLE
    if report.status == "error" or (strict and report.status == "warning"):
        return ExitStatus.FAILED
    return ExitStatus.OK


def _identity_rows(identity: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in identity.items():
        match value:
            case Mapping():
                yield name, ", ".join(f"{key} {each}" for key, each in value.items())
            case list():
                yield name, ", ".join(value)
            case _:
                yield name, str(value)


def _row(finding: Finding) -> tuple[str | Text, ...]:
    found = Text(finding.what)
    if finding.advice:
        found.append(f"\n→ {finding.advice}", style="dim")
    return Text(finding.status, style=_STYLES[finding.status]), finding.check, finding.subject, found


def _summary(report: Report) -> str:
    counts = Counter(finding.status for finding in report.findings)
    return f"{count(counts['error'], 'error')}, {count(counts['warning'], 'warning')}, {counts['ok']} ok"
