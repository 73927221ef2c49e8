"""One replica of the scheduler: it connects, waits for the baton, and leads while it holds it."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime

import pika
from pika.exceptions import AMQPError

from periodic.baton import Baton
from periodic.consumers import Destination
from periodic.declaring import Declaring
from periodic.desk import Address, Desk
from periodic.errors import PeriodicError
from periodic.leader import Leader, Publish
from periodic.office import LeadersOffice
from periodic.outlook import Outlook
from periodic.queues import Queues
from periodic.schedule import Schedule
from periodic.status import Role, Status
from periodic.takeover import MustNotLead, Replica, check_clock
from periodic.term import begin
from periodic.watch import Watch

log = logging.getLogger(__name__)

FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 0.1, 2.0
STABLE_AFTER_S = 5.0
QUIET_FOR_S = 30.0
# How soon one that must not lead looks again whether it may.
LOOK_AGAIN_S = 5.0
# How long the longest sleep is: a clock that is set is noticed so soon.
LONGEST_SLEEP_S = 1.0
# How often the network is served while there is no time to sleep.
PUMP_EVERY_S = 0.1
# How long a farewell may take.
CLOSE_WITHIN_S = 1.0
# Far below RabbitMQ's consumer timeout, half an hour.
RENEW_EVERY_S = 600.0

# Of our own: an application may have seeded the common one.
_random = random.SystemRandom()


class BatonLost(PeriodicError):
    """RabbitMQ hands the baton to this replica no more."""


def utc_now() -> datetime:
    """Return the time of this machine's clock."""
    return datetime.now(UTC)


class Scheduler:
    """One replica. Any number may run: one leads, and another goes on when it ends.

    Args:
        replica: who this is.
        nodes: where RabbitMQ is, one for each node of a cluster. With a heartbeat of 2 s a leader that freezes, or is
            cut off, has a successor within 8 s.
        queues: the same for all replicas.
        publication: makes the message of a tick.
        address: where it is asked and told what operators want; None for nowhere.
        destination: says where the messages of a schedule go; None where nobody looks who takes them.
        clock: what time it is.
        renew_every_s: how often the leader takes a fresh baton, in seconds; less than RabbitMQ's consumer timeout.

    Attributes:
        status: what there is to tell, for any thread.
    """

    def __init__(
        self,
        replica: Replica,
        nodes: Sequence[pika.ConnectionParameters],
        queues: Queues,
        publication: Publish,
        *,
        address: Address | None = None,
        destination: Callable[[Schedule], Destination] | None = None,
        clock: Callable[[], datetime] = utc_now,
        renew_every_s: float = RENEW_EVERY_S,
    ) -> None:
        self.status = Status(replica.name)
        self._replica = replica
        _ = replica.timings  # found out now, and not in each failover
        self._outlook = Outlook(replica.schedules.values(), clock())
        self._nodes = list(nodes)
        self._queues = queues
        self._publication = publication
        self._address = address
        self._destination = destination
        self._clock = clock
        self._renew_every_s = renew_every_s
        self._stopping = threading.Event()
        self._connection: pika.BlockingConnection | None = None
        self._confirmed = ""
        self._failures = 0
        self._warned_at = float("-inf")

    @property
    def schedules(self) -> Mapping[str, Schedule]:
        """Those of this replica's code, by name."""
        return self._replica.schedules

    def run(self) -> None:
        """Do its part until :meth:`stop`, or an exception that a signal's handler raises; then release the baton."""
        while not self._stopping.is_set():
            started = time.monotonic()
            try:
                with self._connected() as connection:
                    self._serve(connection)
            except MustNotLead as error:
                self._report(Role.REFUSING, str(error), LOOK_AGAIN_S)
            except (AMQPError, OSError, PeriodicError) as error:
                if time.monotonic() - started > STABLE_AFTER_S:
                    self._failures = 0
                pause_s = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2.0**self._failures) * _random.uniform(0.5, 1.0)
                self._failures = min(self._failures + 1, 16)
                self._report(Role.CONNECTING, _explain(error), pause_s)

    def stop(self) -> None:
        """Let :meth:`run` return; from any thread."""
        self._stopping.set()
        connection = self._connection
        if connection is not None:
            connection.add_callback_threadsafe(lambda: None)  # it may sleep

    def _serve(self, connection: pika.BlockingConnection) -> None:
        watch = Watch(connection, self._address, self._destination, self.status, self._clock)
        declaring = Declaring(connection)
        for each in fields(self._queues):
            declaring.declare(getattr(self._queues, each.name))
        channel = connection.channel()
        channel.confirm_delivery()
        baton = Baton(channel, self._queues.baton)
        desk = Desk(connection, self._address, self.status, self._clock)
        self.status.enter(Role.STANDING_BY, self._clock(), self.status.problem)
        log.info("%s: connected; waiting for the baton", self._replica.name)
        while not (baton.is_held or baton.is_lost or self._stopping.is_set()):
            now = self._clock()
            self.status.turn(now)
            has_more = self._outlook.follow(now)
            connection.process_data_events(0 if has_more else LONGEST_SLEEP_S)
            desk.answer()
            if not baton.is_held:  # else it has no time to lose
                self.status.problem = ""
                watch.look()
        # A change that an operator makes ends a term, and not the hold on the baton.
        while baton.is_held and not self._stopping.is_set():
            self._lead(connection, channel, declaring, baton, desk, watch)
            if baton.is_held:
                baton.renew()
        if baton.is_lost:
            raise BatonLost("RabbitMQ has ended its consumer; the queue of the baton was deleted, perhaps")

    def _lead(
        self,
        connection: pika.BlockingConnection,
        channel: pika.adapters.blocking_connection.BlockingChannel,
        declaring: Declaring,
        baton: Baton,
        desk: Desk,
        watch: Watch,
    ) -> None:
        ledger, positions, replica = begin(
            connection, channel, declaring, self._queues, self._replica, self._clock(), confirmed=self._confirmed
        )
        now = self._clock()
        self.status.failing.clear()
        leader = Leader(
            ledger, replica.schedules, positions, self._publication, self.status, now, outlook=self._outlook
        )
        office = LeadersOffice(ledger, replica, leader, self.status, self._clock)
        if self.status.role is not Role.LEADING:
            self.status.enter(Role.LEADING, now)
        log.info("%s: leads from %s on", self._replica.name, ledger.watermark.mark.due.isoformat())
        renewed = pumped = time.monotonic()
        try:
            while not (baton.is_lost or office.is_over or self._stopping.is_set()):
                now = self._clock()
                self.status.turn(now)
                check_clock(ledger.watermark, now)  # it may have been set
                turn = leader.next_turn()
                is_due = turn is not None and turn <= now
                if turn is not None and is_due:
                    leader.take_turn(now)
                if not is_due or time.monotonic() - pumped > PUMP_EVERY_S:
                    watch.look(leader)
                    connection.process_data_events(0.0 if is_due else _until(turn, self._clock()))
                    pumped = time.monotonic()
                    desk.answer(office)
                if time.monotonic() - renewed > self._renew_every_s:
                    baton.renew()
                    renewed = time.monotonic()
        finally:
            self._confirmed = ledger.watermark.encode()
        ledger.end()

    @contextmanager
    def _connected(self) -> Iterator[pika.BlockingConnection]:
        self.status.enter(Role.CONNECTING, self._clock(), self.status.problem)
        nodes = _random.sample(self._nodes, len(self._nodes))
        self._connection = connection = pika.BlockingConnection(nodes)
        try:
            yield connection
        finally:
            self._connection = None
            _close(connection)

    def _report(self, role: Role, problem: str, pause_s: float) -> None:
        """Log the first of a row of failures, then one each half minute, and wait."""
        is_same = problem == self.status.problem
        self.status.enter(role, self._clock(), problem)
        if not is_same or time.monotonic() - self._warned_at > QUIET_FOR_S:
            self._warned_at = time.monotonic()
            log.warning("%s: %s: %s", self._replica.name, role, problem)
        self._stopping.wait(pause_s)


def _until(turn: datetime | None, now: datetime) -> float:
    return LONGEST_SLEEP_S if turn is None else max(0.0, min(LONGEST_SLEEP_S, (turn - now).total_seconds()))


def _close(connection: pika.BlockingConnection) -> None:
    """End the connection, and with it the hold on the baton, even if RabbitMQ does not answer."""

    def close() -> None:
        try:
            if connection.is_open:
                connection.close()
        except Exception as error:
            # A signal may have interrupted it anywhere; whatever is left of it ends with the process.
            log.debug("the connection does not end in order: %r", error)

    # A farewell to a RabbitMQ that is frozen, or has blocked this connection, would have no end.
    closing = threading.Thread(target=close, daemon=True)
    closing.start()
    closing.join(CLOSE_WITHIN_S)


def _explain(error: BaseException) -> str:
    cause = getattr(error, "exception", None) or next(iter(getattr(error, "exceptions", ())), None)
    if isinstance(cause, BaseException):
        return _explain(cause)
    text = getattr(error, "reply_text", None) or str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
