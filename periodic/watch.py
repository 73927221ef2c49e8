"""What a replica looks at beside its work, so that its probes and operators know."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

from pika import BlockingConnection
from pika.exceptions import AMQPChannelError

from periodic.consumed import Consumed
from periodic.consumers import Consumers, Destination
from periodic.desk import Address
from periodic.leader import Leader
from periodic.schedule import Schedule
from periodic.skew import BrokersClock
from periodic.status import Status

log = logging.getLogger(__name__)


class Watch:
    """Notes in *status* whether RabbitMQ takes what is published, what time it is there, and which queues nobody takes.

    Args:
        connection: the replica's.
        address: has names for queues of its own; None where it may make none.
        destination: says where the messages of a schedule go; None where nobody looks who takes them.
        status: of the replica.
        clock: what time it is.

    Raises:
        AMQPError: from every method, when the connection has ended.
    """

    def __init__(
        self,
        connection: BlockingConnection,
        address: Address | None,
        destination: Callable[[Schedule], Destination] | None,
        status: Status,
        clock: Callable[[], datetime],
    ) -> None:
        self._status = status
        self._clock = None if address is None else BrokersClock(connection, address, status, clock)
        self._consumers = None if destination is None else Consumers(Consumed(connection), destination, status)
        # The connection's own methods would tell only between two calls, and a publication waits for its confirm for
        # as long as RabbitMQ is blocked.
        told = connection._impl
        told.add_on_connection_blocked_callback(lambda _, frame: self._block(frame.method.reason or "no reason given"))
        told.add_on_connection_unblocked_callback(lambda _, __: self._block(""))

    def look(self, leader: Leader[Any] | None = None) -> None:
        """Look at whatever it is time for; *leader* is for the replica that leads. It takes a few milliseconds."""
        if self._status.blocked:
            return  # RabbitMQ would not read a question
        try:
            if leader is not None and self._consumers is not None:
                self._consumers.look(leader.waiting)
            if self._clock is not None:
                self._clock.ask()
        except AMQPChannelError as refused:
            log.warning("%s can't compare its clock with RabbitMQ's: %s", self._status.replica, refused)
            self._clock, self._status.skew = None, None

    def _block(self, reason: str) -> None:
        if reason:
            log.warning("%s: RabbitMQ has blocked publishers: %s", self._status.replica, reason)
        elif self._status.blocked:
            log.info("%s: RabbitMQ takes again what is published", self._status.replica)
        self._status.blocked = reason
