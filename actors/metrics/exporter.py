"""Looks at queues and schedules for whoever scrapes, and not more often for many of them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import Any

from dramatiq.errors import BrokerError

from actors.errors import ActorsError
from actors.metrics.exported import families
from actors.metrics.looks import Depth, Seen, look_at_depths, look_at_rest

log = logging.getLogger("actors")

# For how long a look at queues stands, in seconds; and one at dead letters and at records of runs, which RabbitMQ has
# to hand out for that.
FRESH_S, REST_FRESH_S = 10.0, 60.0


class Exporter:
    """Has the numbers of one environment; safe from any thread.

    Who asks while another's look goes on waits for that and shares it. What a look that failed had found before is
    forgotten: an old number looks like a good one.

    Args:
        timeout_s: how long each part of a look may take, in seconds.
        fresh_s: for how long a look at queues stands, in seconds.
        rest_fresh_s: and one at what else there is.
    """

    def __init__(self, *, timeout_s: float, fresh_s: float = FRESH_S, rest_fresh_s: float = REST_FRESH_S) -> None:
        self._timeout_s = timeout_s
        self._fresh_s = fresh_s
        self._rest_fresh_s = rest_fresh_s
        self._looking = threading.Lock()
        self._depths: Sequence[Depth] | None = None
        self._seen: Seen | None = None
        self._seen_at = self._looked_at = float("-inf")
        self._took_s = 0.0
        self._problem = ""

    def families(self) -> list[Any]:
        """Return the numbers as they are, or were a moment ago."""
        with self._looking:
            self._look()
            return list(families(self._depths, self._seen, took_s=self._took_s))

    def problem(self) -> str:
        """Return why there are none; empty where there are."""
        with self._looking:
            self._look()
            return self._problem

    def _look(self) -> None:
        began = time.monotonic()
        if began - self._looked_at < self._fresh_s:
            return
        try:
            self._depths = look_at_depths(timeout_s=self._timeout_s)
            if self._seen is None or began - self._seen_at >= self._rest_fresh_s:
                self._seen, self._seen_at = look_at_rest(self._depths, timeout_s=self._timeout_s), began
            problem = ""
        except (BrokerError, ActorsError) as error:
            self._depths = self._seen = None
            problem = " ".join(str(error).split())
        if problem and problem != self._problem:
            log.warning("there are no numbers: %s", problem)
        self._problem = problem
        # A look that took long stands as long as another.
        self._looked_at = time.monotonic()
        self._took_s = self._looked_at - began
