"""Moves the watermark where no replica leads, because it stands in the future."""

from __future__ import annotations

from datetime import datetime

from pika import BlockingConnection

from periodic.acting import Occupied, lead
from periodic.changes import Refused, reset
from periodic.queues import Queues
from periodic.roster import Roster


def reset_without_leader(
    connection: BlockingConnection, queues: Queues, to: datetime, now: datetime, *, force: bool, timeout_s: float
) -> str:
    """Take the baton, so that nobody else leads meanwhile, and move the watermark to *to*; return what was done.

    Raises:
        Refused: the watermark is sane, or there is none, or others hold the baton for longer than *timeout_s*.
        AMQPError: nobody knows whether it was done.
    """
    try:
        acting = lead(connection, queues, timeout_s=timeout_s)
    except Occupied:
        raise Refused(
            f"another replica has held the baton for {timeout_s:g} s; try again, or stop the schedulers"
        ) from None
    watermark = acting.watermark
    if watermark is None:
        raise Refused("there is no watermark: no scheduler has ever led here")
    roster = acting.roster
    made = reset(roster or Roster(), watermark, to, now, force=force)
    if made.watermark is not None:
        acting.ledger.write_watermark(made.watermark)
    if roster is not None:
        acting.ledger.write_roster(made.roster)
    return made.text
