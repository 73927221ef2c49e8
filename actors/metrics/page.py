"""Metrics as a page."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from actors.health.pages import Negotiated, Page
from middleware.metrics import METRICS, Files, Place, Sink

# Those of ours that have one; the files do not say it.
_UNITS = {metric.name: metric.unit for metric in METRICS}


def metrics_page(families: Callable[[], Iterable[Any]]) -> Negotiated:
    """Return what makes the page of *families*: OpenMetrics where a reader asks for it, else Prometheus's own format.

    Args:
        families: called for metrics, as prometheus_client has them, each time that the page is asked for.
    """

    def make(accept: str) -> Page:
        from prometheus_client.exposition import choose_encoder

        encode, content_type = choose_encoder(accept)
        return Page(HTTPStatus.OK, content_type, encode(_Families(list(families()))))

    return Negotiated(make)


def counted(sink: Sink) -> list[Any]:
    """Return all that is kept where *sink* keeps its numbers, and what the application keeps there.

    That is the directory of an instance, which has the numbers of all its processes; or the default registry of
    prometheus_client, which has those of this one.
    """
    if isinstance(sink, Files):
        return kept_in(sink.place)
    from prometheus_client import REGISTRY

    sink.add({})  # what waits to be shown
    return list(REGISTRY.collect())


def kept_in(place: Place) -> list[Any]:
    """Return what the processes of an instance keep in *place*, by name."""
    found = sorted(place.families(), key=lambda family: str(family.name))
    for family in found:
        family.unit = _UNITS.get(family.name, "")
    return found


@dataclass(frozen=True, slots=True)
class _Families:
    """What an encoder takes for a registry."""

    found: Iterable[Any]

    def collect(self) -> Iterable[Any]:
        return self.found
