"""What a process answers to GET: a page a path, made anew each time."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol

# What makes each page, by path; one that comes in several forms is Negotiated.
Pages = Mapping[str, Callable[[], "Page"]]


class Check(Protocol):
    """One thing that was looked at, by whichever package knows of it; :class:`periodic.health.Check` is one."""

    @property
    def name(self) -> str:
        """What it was; a stable word for scripts."""

    @property
    def ok(self) -> bool:
        """Whether it is as it should be."""

    @property
    def reason(self) -> str:
        """What was found."""

    @property
    def advice(self) -> str:
        """What to do about it; empty where there is nothing to do."""


@dataclass(frozen=True, slots=True)
class Page:
    """One answer."""

    status: HTTPStatus
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Negotiated:
    """Makes a page in the form that its reader asks for.

    Attributes:
        make: called with the header ``Accept`` of a request; empty where it has none.
    """

    make: Callable[[str], Page]

    def __call__(self) -> Page:
        """Return it for a reader that asks for none."""
        return self.make("")


def verdict(checks: Sequence[Check]) -> Page:
    """Return all *checks* as JSON, with status 200 if all are well, else 503."""
    ok = all(check.ok for check in checks)
    told = [{"name": each.name, "ok": each.ok, "reason": each.reason, "advice": each.advice} for each in checks]
    return _json(HTTPStatus.OK if ok else HTTPStatus.SERVICE_UNAVAILABLE, {"ok": ok, "checks": told})


def page_at(path: str, pages: Pages, *, accept: str = "") -> Page:
    """Return the one of *pages* at *path*, whatever its query, or one with status 404 that names them all."""
    make = pages.get(path.partition("?")[0])
    if isinstance(make, Negotiated):
        return make.make(accept)
    return make() if make is not None else _json(HTTPStatus.NOT_FOUND, {"error": "not here", "paths": list(pages)})


def _json(status: HTTPStatus, told: Mapping[str, Any]) -> Page:
    return Page(status, "application/json", json.dumps(told, indent=1).encode() + b"\n")
