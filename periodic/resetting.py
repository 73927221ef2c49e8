"""Moves the watermark where no replica leads, because it stands in the future."""

from __future__ import annotations

import time
from dataclasses import fields
from datetime import datetime

from pika import BlockingConnection

from periodic.baton import Baton
from periodic.changes import Refused, reset
from periodic.declaring import Declaring
from periodic.kept import read_both
from periodic.ledger import HEADER, RabbitmqLedger
from periodic.queues import Queues
from periodic.roster import Roster
from periodic.watermark import Watermark

_PUMP_S = 0.1


def reset_without_leader(
    connection: BlockingConnection, queues: Queues, to: datetime, now: datetime, *, force: bool, timeout_s: float
) -> str:
    """Take the baton, so that nobody else leads meanwhile, and move the watermark to *to*; return what was done.

    Raises:
        Refused: the watermark is sane, or there is none, or others hold the baton for longer than *timeout_s*.
        AMQPError: nobody knows whether it was done.
    """
    declaring = Declaring(connection)
    for each in fields(queues):
        declaring.declare(getattr(queues, each.name))
    channel = connection.channel()
    channel.confirm_delivery()
    baton = Baton(channel, queues.baton)
    deadline = time.monotonic() + timeout_s
    while not baton.is_held:
        if time.monotonic() > deadline:
            raise Refused(f"another replica has held the baton for {timeout_s:g} s; try again, or stop the schedulers")
        connection.process_data_events(_PUMP_S)
    last, rest = read_both(channel, queues.watermark, queues.roster, pause=connection.sleep)
    if last is None:
        raise Refused("there is no watermark: no scheduler has ever led here")
    watermark = Watermark.decode(str((last.properties.headers or {}).get(HEADER)))
    made = reset(Roster() if rest is None else Roster.decode(rest.body), watermark, to, now, force=force)
    ledger = RabbitmqLedger(channel, connection.channel, declaring, queues)
    if made.watermark is not None:
        ledger.write_watermark(made.watermark)
    if rest is not None:
        ledger.write_roster(made.roster)
    return made.text
