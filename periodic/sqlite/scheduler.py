"""One replica of the scheduler of a file: it waits for the lock, and leads while it holds it."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Generic, TypeVar

from periodic.consumers import Consumers, Destination
from periodic.leader import Leader, Publish
from periodic.office import LeadersOffice
from periodic.schedule import Schedule
from periodic.serving import Serving, sleep_s, utc_now
from periodic.sqlite.desk import LISTEN_EVERY_S, REPORT_EVERY_S, LeadersDesk, leave, report
from periodic.sqlite.file import File, Put
from periodic.sqlite.ledger import SqliteLedger, TakenBack
from periodic.sqlite.lock import BEAT_EVERY_S, Lock, LockLost
from periodic.sqlite.term import Term, begin
from periodic.status import Role, Status
from periodic.takeover import MustNotLead, Replica, check_clock

log = logging.getLogger(__name__)

Publication = TypeVar("Publication")

# How often who stands by looks whether the leader has died, in seconds: three system calls. And how often it does all
# else that there is to do.
POLL_S, ROUND_S = 0.03, 0.25
# How many ticks are one transaction at most, and for how long they are gathered, in seconds.
MOST_AT_ONCE, GATHER_FOR_S = 500, 0.05


class SqliteScheduler(Serving, Generic[Publication]):
    """One replica. Any number may run on one machine: one leads, and another goes on when it ends.

    A leader that is killed has a successor at once, and one that freezes within 8 s; but one that freezes within a
    transaction keeps the file locked for everybody until it goes on, or is killed.

    Args:
        replica: who this is.
        file: the same for all replicas; has the tables of ``SCHEMA``.
        put: puts the message of a tick into its queue.
        publication: makes the message of a tick.
        destination: says where the messages of a schedule go; None where nobody looks who takes them.
        is_consumed: says whether the queue with this name has a consumer; needed with *destination*.
        failures: what *file* raises when it can't be used, beside :class:`OSError` and :class:`sqlite3.Error`.
        clock: what time it is.
    """

    def __init__(
        self,
        replica: Replica,
        file: File,
        put: Put[Publication],
        publication: Publish[Publication],
        *,
        destination: Callable[[Schedule], Destination] | None = None,
        is_consumed: Callable[[str], bool] | None = None,
        failures: tuple[type[Exception], ...] = (),
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        super().__init__(replica, Status(replica.name, file=str(file.path)), clock, (*failures, sqlite3.Error))
        self._file = file
        self._put = put
        self._publication = publication
        self._consumers: Consumers | None = None
        if destination is not None and is_consumed is not None:
            self._consumers = Consumers(is_consumed, destination, self.status)
        self._lock = Lock(file, replica.name)
        self._suspects: set[str] = set()
        self._told_at = float("-inf")

    def run(self) -> None:
        """Do its part until :meth:`stop`, or an exception that a signal's handler raises; then let another lead."""
        try:
            super().run()
        finally:
            self._lock.let_go()  # before anything that may have to wait
            with suppress(Exception), self._file.write() as connection:
                self._lock.release(connection)
                leave(connection, self._replica.name)

    def _serve(self) -> None:
        self.status.enter(Role.CONNECTING, self._clock(), self.status.problem)
        try:
            self.status.enter(Role.STANDING_BY, self._clock(), self.status.problem)
            self._tell(self.status)
            log.info("%s: uses %s; waiting for the lock", self._replica.name, self._file.path)
            while not self._stopping.is_set():
                term = self._begin() if self._lock.may_take() else None
                if term is None:
                    self._wait()
                else:
                    self._lead(term)
        except LockLost as error:
            self._lock.let_go()
            log.warning("%s: %s", self._replica.name, error)
        except Exception as error:
            self._lock.let_go()
            if isinstance(error, MustNotLead):
                self._tell(replace(self.status, role=Role.REFUSING, problem=str(error)))
            raise

    def _tell(self, status: Status) -> None:
        self._told_at = time.monotonic()
        with self._file.write() as connection:
            report(connection, status, self._clock())

    def _begin(self) -> Term[Publication] | None:
        return begin(self._file, self._lock, self._put, self._suspects, self._replica, self._clock())

    def _wait(self) -> None:
        now = self._clock()
        self.status.problem = ""
        self.status.turn(now)
        if time.monotonic() - self._told_at > REPORT_EVERY_S:
            self._tell(self.status)
        round_s = 0.0 if self._outlook.follow(now) else ROUND_S
        started = time.monotonic()
        while time.monotonic() - started < round_s:
            # First this, then the look: one that was in vain has let another have a moment.
            if self._stopping.wait(POLL_S) or self._lock.may_take():
                return

    def _lead(self, term: Term[Publication]) -> None:
        now, ledger = self._clock(), term.ledger
        self.status.failing.clear()
        schedules = term.replica.schedules
        leader = Leader(ledger, schedules, term.positions, self._publication, self.status, now, outlook=self._outlook)
        office = LeadersOffice(ledger, term.replica, leader, self.status, self._clock)
        desk = LeadersDesk(self._file, ledger, office, self.status, self._clock)
        if self.status.role is not Role.LEADING:
            self.status.enter(Role.LEADING, now)
        log.info("%s: leads from %s on", self._replica.name, ledger.watermark.mark.due.isoformat())
        beaten = float("-inf")
        while not (office.is_over or self._stopping.is_set()):
            now = self._clock()
            self.status.turn(now)
            check_clock(ledger.watermark, now)  # it may have been set
            try:
                self._take_turns(leader, ledger, now)
            except TakenBack as error:
                log.warning("%s begins again, to find out whose messages are not taken: %s", self._replica.name, error)
                return
            if time.monotonic() - beaten > BEAT_EVERY_S:
                beaten = time.monotonic()
                self._beat(ledger, desk)
            if self._consumers is not None:
                self._consumers.look(leader.waiting)
            desk.answer()
            if not office.is_over:
                self._stopping.wait(min(LISTEN_EVERY_S, sleep_s(leader.next_turn(), self._clock())))

    def _take_turns(self, leader: Leader[Publication], ledger: SqliteLedger[Publication], now: datetime) -> None:
        """Take the turns that are due, all in one transaction, but not more of them than others can wait for."""
        counted = self.status.fires.copy()
        until_s = time.monotonic() + GATHER_FOR_S
        try:
            for _ in range(MOST_AT_ONCE):
                turn = leader.next_turn()
                if turn is None or turn > now or time.monotonic() > until_s:
                    break
                leader.take_turn(now)
            ledger.flush()
        except BaseException:
            self.status.fires = counted
            raise

    def _beat(self, ledger: SqliteLedger[Publication], desk: LeadersDesk) -> None:
        with ledger.transaction() as connection:
            self._lock.beat(connection)
            report(connection, self.status, self._clock())
            desk.sweep(connection)
