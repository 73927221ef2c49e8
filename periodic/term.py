"""How a term begins: what the last leader has left is read, checked and made good."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime

from pika import BasicProperties, BlockingConnection
from pika.adapters.blocking_connection import BlockingChannel

from periodic.declaring import Declaring
from periodic.kept import Kept, read_both
from periodic.ledger import TRANSIENT, RabbitmqLedger, watermark_of
from periodic.position import Position
from periodic.queues import Queues
from periodic.roster import Roster
from periodic.run_time import with_run_time_schedules
from periodic.takeover import MustNotLead, Replica, take_over
from periodic.watermark import Watermark

log = logging.getLogger(__name__)


def begin(
    connection: BlockingConnection,
    channel: BlockingChannel,
    declaring: Declaring,
    queues: Queues,
    replica: Replica,
    now: datetime,
    *,
    confirmed: str,
) -> tuple[RabbitmqLedger, Mapping[str, Position], Replica]:
    """Return the ledger of a new term, behind which position each schedule goes on, and who leads with which schedules.

    Args:
        connection: the one that all that follows belongs to.
        channel: it holds the baton.
        declaring: declares queues.
        queues: exist.
        replica: who leads from now on.
        now: what time it is.
        confirmed: the newest watermark that this process knows to be confirmed; empty if it knows none.

    Raises:
        MustNotLead: it leaves the term to another replica.
        AMQPError: the term is over.
    """
    last, rest = read_both(channel, queues.watermark, queues.roster, pause=connection.sleep)
    watermark = None if last is None else _decode(last)
    roster = None if rest is None else _decode_roster(rest)
    if watermark is None and roster is not None:
        log.error("the watermark is lost; ticks that are due before %s are neither known nor enqueued", now)
    replica = with_run_time_schedules(replica, roster)
    takeover = take_over(roster, watermark, replica, now)
    ledger = RabbitmqLedger(channel, connection.channel, declaring, queues)
    if declaring.declare(queues.alive) == 0:
        # RabbitMQ has restarted. If it was killed, it may have lost a part of what it had not confirmed.
        if last is not None and watermark is not None and watermark.encode() != confirmed:
            _repeat(ledger, last, queues)
        channel.basic_publish("", queues.alive.name, b"", BasicProperties(delivery_mode=TRANSIENT), mandatory=True)
    if watermark is None:
        ledger.write_watermark(takeover.watermark)
    if takeover.is_new:
        ledger.write_roster(takeover.roster)
    ledger.begin(takeover.watermark, takeover.roster)
    return ledger, takeover.positions, replica


def _repeat(ledger: RabbitmqLedger, last: Kept, queues: Queues) -> None:
    if last.routing_key != queues.watermark.name:
        log.warning(
            "RabbitMQ has restarted: message %s is enqueued again, in case it was not", last.properties.message_id
        )
        ledger.repeat(last)


def _decode(last: Kept) -> Watermark:
    try:
        return watermark_of(last.properties)
    except ValueError as error:
        raise MustNotLead(str(error)) from None


def _decode_roster(kept: Kept) -> Roster:
    try:
        return Roster.decode(kept.body)
    except ValueError as error:
        raise MustNotLead(str(error)) from None
