"""Imports the users' modules, and says what each of them declares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from actors.assembly import broker
from actors.checks.finding import Finding, error, ok, warning
from actors.checks.origin import where
from actors.errors import LoadingError
from actors.loading import load


def load_each(modules: Iterable[str]) -> Iterator[Finding]:
    """Import *modules* one by one; one that fails does not keep the others from being looked at."""
    modules = list(dict.fromkeys(modules))
    yield from map(_load, modules)
    if not modules:
        what = "no modules are named, so no actors are looked at"
        yield warning("modules", "", what, "name them: actors check shop.tasks, or ACTORS_MODULES=shop.tasks")


def _load(module: str) -> Finding:
    before = set(broker.actors)
    try:
        load([module])
    except LoadingError as failure:
        place = where(failure.__cause__)
        advice = f"look at {place}" if place else "run it where the module can be imported: beside it, or installed"
        return error("modules", module, str(failure), advice)
    # A module that another one imports has declared its actors by now.
    own = [name for name, actor in broker.actors.items() if name not in before or actor.fn.__module__ == module]
    if not own:
        return warning("modules", module, "declares no actor", "name the module whose functions have @actor")
    return ok("modules", module, f"declares {', '.join(sorted(own))}")
