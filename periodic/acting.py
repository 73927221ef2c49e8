"""Leads for a moment where no replica does, to change what leaders keep."""

from __future__ import annotations

import time
from dataclasses import dataclass

from pika import BlockingConnection
from pika.adapters.blocking_connection import BlockingChannel

from periodic.baton import Baton
from periodic.declaring import Declaring
from periodic.errors import PeriodicError
from periodic.kept import Kept, read_both
from periodic.ledger import RabbitmqLedger, watermark_of
from periodic.queues import Queues
from periodic.roster import Roster
from periodic.watermark import Watermark

_PUMP_S = 0.1


class Occupied(PeriodicError):
    """Another replica has held the baton for longer than may be waited."""


@dataclass(frozen=True, slots=True)
class Acting:
    """Who has the baton in hand, and what it found.

    Attributes:
        channel: with confirms; it has the baton until it ends.
        ledger: writes on that channel.
        last: the message with the watermark; None if there is none.
        rest: the roster's; None if there is none.
    """

    channel: BlockingChannel
    ledger: RabbitmqLedger
    last: Kept | None
    rest: Kept | None

    @property
    def watermark(self) -> Watermark | None:
        """What is kept of the ticks that are out.

        Raises:
            ValueError: it is from another version, or from somebody else.
        """
        return None if self.last is None else watermark_of(self.last.properties)

    @property
    def roster(self) -> Roster | None:
        """What is kept of the schedules.

        Raises:
            ValueError: it is from another version, or from somebody else.
        """
        return None if self.rest is None else Roster.decode(self.rest.body)


def lead(connection: BlockingConnection, queues: Queues, *, timeout_s: float) -> Acting:
    """Take the baton, so that nobody else leads until the connection ends, and read the ledger.

    Args:
        connection: its channels are opened here.
        queues: of the replicas; they are made where they do not exist.
        timeout_s: how long to wait for the baton, in seconds.

    Raises:
        Occupied: it was not to be had.
        NotDeclared: a queue can't be made, or used.
        AMQPError: the connection has ended.
    """
    declaring = Declaring(connection)
    declaring.declare_all(queues)
    channel = connection.channel()
    channel.confirm_delivery()
    baton = Baton(channel, queues.baton)
    deadline = time.monotonic() + timeout_s
    while not baton.is_held:
        if time.monotonic() > deadline:
            raise Occupied
        connection.process_data_events(_PUMP_S)
    last, rest = read_both(channel, queues.watermark, queues.roster, pause=connection.sleep)
    return Acting(channel, RabbitmqLedger(channel, connection.channel, declaring, queues), last, rest)
