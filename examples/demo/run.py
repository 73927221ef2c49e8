"""What happens: orders come in, a worker is killed in the middle, and the other one finishes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from examples.demo.processes import SURVIVOR, VICTIM, Shop, check_alive
from examples.demo.progress import Progress
from examples.shop import books
from services.deadline import until

# What the killed worker has held is free after one lease; this is how long all of that may take.
LAST_SECONDS = 20

PAUSE = 0.2


def run(shop: Shop, orders: int, *, deadline: float, show: Callable[[Progress], None]) -> Progress:
    """Let *orders* orders come in, kill a worker once a third of the jobs has run, and wait for the rest.

    Returns:
        How it ended, when all was done or *deadline* seconds had passed.

    Raises:
        ServiceError: the application or a worker ended before its time, with its log; or keys are left open.
    """
    started = time.monotonic()
    now = Progress(orders, 0.0, {}, {}, payments=0, killed_after=None)
    shop.application.start()
    while not now.complete and now.seconds < deadline:
        time.sleep(PAUSE)
        sending = shop.application.alive()
        now = _read(shop, now, time.monotonic() - started)
        if not sending and now.taken < orders:
            check_alive("the application", shop.application)
        check_alive(SURVIVOR, shop.workers[SURVIVOR])
        if now.killed_after is None:
            check_alive(VICTIM, shop.workers[VICTIM])
            now = _kill_in_the_middle(shop, now)
        show(now)
    if not now.complete:
        return now
    # A job that was killed between its effect and its record is still to come a second time: its key is open.
    until(lambda: not shop.place.store.list_open(limit=1)[0], seconds=LAST_SECONDS, what="the end of every key")
    shop.workers[SURVIVOR].stop()
    return _read(shop, now, time.monotonic() - started)


def _read(shop: Shop, before: Progress, seconds: float) -> Progress:
    counts = {count.actor: count for count in books.counts(shop.books)}
    return replace(
        before,
        seconds=seconds,
        counts=counts,
        runs=books.runs_by_worker(shop.books),
        payments=books.payments(shop.books),
    )


def _kill_in_the_middle(shop: Shop, now: Progress) -> Progress:
    if now.run * 3 < now.jobs:
        return now
    shop.workers[VICTIM].kill()
    return replace(now, killed_after=now.run)
