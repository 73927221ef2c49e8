"""One replica of the scheduler: it connects, waits for the baton, and leads while it holds it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

import pika
from pika.exceptions import AMQPError

from periodic.baton import Baton
from periodic.consumers import Destination
from periodic.declaring import Declaring
from periodic.desk import Address, Desk
from periodic.errors import PeriodicError
from periodic.leader import Leader, Publish
from periodic.office import LeadersOffice
from periodic.queues import Publication, Queues
from periodic.schedule import Schedule
from periodic.serving import LONGEST_SLEEP_S, Serving, sleep_s, system_random
from periodic.serving import utc_now as utc_now
from periodic.status import Role, Status
from periodic.takeover import Replica, check_clock
from periodic.term import begin
from periodic.watch import Watch

log = logging.getLogger(__name__)

# How often the network is served while there is no time to sleep.
PUMP_EVERY_S = 0.1
# How long a farewell may take.
CLOSE_WITHIN_S = 1.0
# Far below RabbitMQ's consumer timeout, half an hour.
RENEW_EVERY_S = 600.0


class BatonLost(PeriodicError):
    """RabbitMQ hands the baton to this replica no more."""


class Scheduler(Serving):
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
    """

    def __init__(
        self,
        replica: Replica,
        nodes: Sequence[pika.ConnectionParameters],
        queues: Queues,
        publication: Publish[Publication],
        *,
        address: Address | None = None,
        destination: Callable[[Schedule], Destination] | None = None,
        clock: Callable[[], datetime] = utc_now,
        renew_every_s: float = RENEW_EVERY_S,
    ) -> None:
        super().__init__(replica, Status(replica.name), clock, (AMQPError,))
        self._nodes = list(nodes)
        self._queues = queues
        self._publication = publication
        self._address = address
        self._destination = destination
        self._renew_every_s = renew_every_s
        self._connection: pika.BlockingConnection | None = None
        self._confirmed = ""

    def stop(self) -> None:
        """Let :meth:`run` return; from any thread."""
        super().stop()
        connection = self._connection
        if connection is not None:
            connection.add_callback_threadsafe(lambda: None)  # it may sleep

    def _serve(self) -> None:
        with self._connected() as connection:
            self._follow(connection)

    def _follow(self, connection: pika.BlockingConnection) -> None:
        watch = Watch(connection, self._address, self._destination, self.status, self._clock)
        declaring = Declaring(connection)
        declaring.declare_all(self._queues)
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
                    connection.process_data_events(0.0 if is_due else sleep_s(turn, self._clock()))
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
        nodes = system_random.sample(self._nodes, len(self._nodes))
        self._connection = connection = pika.BlockingConnection(nodes)
        try:
            yield connection
        finally:
            self._connection = None
            _close(connection)


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
