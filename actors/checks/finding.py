"""One thing that was looked at, and what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

Status = Literal["ok", "warning", "error"]
Check = Literal[
    "settings",
    "modules",
    "actors",
    "routes",
    "rabbitmq",
    "rabbitmq-version",
    "queues",
    "consumers",
    "generations",
    "dead-letters",
    "delays",
    "file",
    "file-version",
    "file-log",
    "file-disk",
    "redis",
    "redis-version",
    "redis-eviction",
    "redis-persistence",
    "workers",
]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, and what was found.

    Attributes:
        check: what kind of look it was; a stable word for scripts.
        subject: the setting, module, actor, queue, server or file that was looked at.
        status: ok, warning (it works, but likely not as meant) or error (it does not work).
        what: what was found.
        advice: what to do about it; empty where nothing is.
    """

    check: Check
    subject: str
    status: Status
    what: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """All findings of one check.

    Attributes:
        identity: what this process works with, as its start line says it; None if its settings can't be read.
        findings: in the order in which they were made.
    """

    identity: Mapping[str, Any] | None
    findings: Sequence[Finding]

    @property
    def status(self) -> Status:
        """The worst status of all findings."""
        return max((finding.status for finding in self.findings), key=get_args(Status).index, default="ok")

    def failed(self, *checks: Check) -> bool:
        """Return whether one of *checks* found an error."""
        return any(finding.status == "error" and finding.check in checks for finding in self.findings)


def count(number: int, noun: str) -> str:
    """Return such as ``1 message`` and ``2 messages``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def ok(check: Check, subject: str, what: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(check, subject, "ok", what)


def warning(check: Check, subject: str, what: str, advice: str) -> Finding:
    """Return a finding of something that works, but likely not as meant."""
    return Finding(check, subject, "warning", what, advice)


def error(check: Check, subject: str, what: str, advice: str) -> Finding:
    """Return a finding of something that does not work."""
    return Finding(check, subject, "error", what, advice)
