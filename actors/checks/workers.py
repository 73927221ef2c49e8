"""Whether the workers that tell of themselves are well, and work with what this process does."""

from __future__ import annotations

from collections.abc import Iterator

from actors.assembly import fleet, identity, settings, store
from actors.brokers.sqlite.looking import has_tables
from actors.checks.finding import Finding, count, ok, warning
from actors.fleet.deployment import problems_of_workers, workers_of
from middleware.stores import StoreUnavailable
from middleware.stores.sqlite import SqliteStore


def check_workers() -> Iterator[Finding]:
    """Look at what workers have told of themselves; a store that does not answer is another check's."""
    kept_in = store()
    if isinstance(kept_in, SqliteStore) and not has_tables(kept_in.file.path):
        return
    try:
        workers = workers_of(fleet().members())
    except StoreUnavailable:
        return
    problems = problems_of_workers(workers, {} if settings().is_embedded else identity())
    for each in problems:
        # None of it is this process's fault, nor keeps it from its work.
        yield warning("workers", each.subject, each.what, each.advice)
    if workers and not problems:
        yield ok("workers", "all", f"{count(len(workers), 'worker')}, with the broker and the store of this process")
