"""Renews the leases of this process's consumers, and lets go of dead letters whose time is over."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from actors.brokers.sqlite import dead_letters, holders
from actors.brokers.sqlite.outage import Outage
from actors.brokers.sqlite.tenure import Tenure
from middleware.letter import now_ms
from middleware.stores.sqlite import FileRefused, FileUnavailable, SqliteFile

log = logging.getLogger(__name__)

# How soon a renewal that failed is tried again, at most, and how often dead letters are looked at; in seconds.
AGAIN_AFTER_S = 1.0
SWEEP_EVERY_S = 60.0

Source = Callable[[], Tenure | None]


class Keeper:
    """One thread for all consumers of a process; it runs while there are any.

    Not the consumers' threads, which wait for the store, and for others who write; nor a worker's own start and end,
    since what is in hand at its end is still to be kept.

    Args:
        file: where the leases are.
        outage: is told when the file can't be used.
        lease_ms: how long a lease holds, in milliseconds; it is renewed three times as often.
    """

    def __init__(self, file: SqliteFile, outage: Outage, *, lease_ms: int) -> None:
        self._file = file
        self._outage = outage
        self._lease_ms = lease_ms
        self._lock = threading.Lock()
        self._sources: set[Source] = set()
        self._stop = threading.Event()
        self._swept_at = float("-inf")

    def keep(self, source: Source) -> None:
        """From now on renew the tenure that *source* returns, as long as it returns one."""
        with self._lock:
            self._sources.add(source)
            if len(self._sources) == 1:
                self._stop = threading.Event()
                threading.Thread(target=self._run, args=[self._stop], name="actors-holder", daemon=True).start()

    def drop(self, source: Source) -> None:
        """Renew nothing more for *source*."""
        with self._lock:
            self._sources.discard(source)
            if not self._sources:
                self._stop.set()

    def renew(self) -> None:
        """Renew all tenures, in one transaction.

        Raises:
            FileUnavailable, FileRefused: none was renewed.
        """
        with self._lock:
            tenures = [tenure for source in self._sources if (tenure := source()) is not None]
        if not tenures:
            return
        until = now_ms() + self._lease_ms
        with self._file.write() as connection:
            kept = [holders.renew(connection, tenure.holder, until=until) for tenure in tenures]
        for tenure, is_kept in zip(tenures, kept, strict=True):
            if is_kept:
                tenure.until = until
            else:
                tenure.over = True

    def _run(self, stop: threading.Event) -> None:
        every_s = self._lease_ms / 3000
        pause_s = every_s
        while not stop.wait(pause_s):
            try:
                self.renew()
                self._sweep()
            except (FileUnavailable, FileRefused) as error:
                self._outage.met(error)
                pause_s = min(AGAIN_AFTER_S, every_s)
            except Exception:
                log.exception("leases are not renewed, which is tried again")
                pause_s = min(AGAIN_AFTER_S, every_s)
            else:
                pause_s = every_s

    def _sweep(self) -> None:
        if time.monotonic() - self._swept_at < SWEEP_EVERY_S:
            return
        now = now_ms()
        while self._has_expired(now):
            with self._file.write() as connection:
                dead_letters.expire(connection, now=now)
        self._swept_at = time.monotonic()

    def _has_expired(self, now: int) -> bool:
        with self._file.read() as connection:
            return dead_letters.has_expired(connection, now=now)
