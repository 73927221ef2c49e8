"""The ledger in RabbitMQ: watermark and roster as its queues keep them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from pika import BasicProperties
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import NackError, UnroutableError

from periodic.declaring import SURE_FOR_S, Declaring, NotDeclared
from periodic.kept import Kept
from periodic.missed import Missed
from periodic.position import Position
from periodic.protocol import NotTaken
from periodic.queues import Publication, Queues
from periodic.roster import Roster
from periodic.tick import Tick
from periodic.watermark import Watermark

log = logging.getLogger(__name__)

HEADER = "watermark"
# Queues to which one frame goes, too. RabbitMQ takes this header out, unlike CC: a worker, or a shovel, that published
# the message again with its headers would move the watermark back.
ALSO_TO = "BCC"

PERSISTENT, TRANSIENT = 2, 1


def watermark_of(properties: BasicProperties) -> Watermark:
    """Return the watermark that a message carries in its header.

    Raises:
        ValueError: there is none, or it is of another version.
    """
    return Watermark.decode(str((properties.headers or {}).get(HEADER)))


class RabbitmqLedger:
    """Publishes ticks, and moves the watermark in the same frame.

    Args:
        channel: the one that holds the baton, with confirms; who does not hold it must not write.
        aside: opens a channel of the same connection without confirms, for what a day could do without.
        declaring: of the same connection.
        queues: exist.

    Raises:
        AMQPError: from every method, when the connection or the channel has ended.
    """

    def __init__(
        self, channel: BlockingChannel, aside: Callable[[], BlockingChannel], declaring: Declaring, queues: Queues
    ) -> None:
        self._channel = channel
        self._open_aside = aside
        self._aside: BlockingChannel | None = None
        self._declaring = declaring
        self._queues = queues
        self._watermark: Watermark | None = None
        self._roster: Roster | None = None
        self._looked_at = time.monotonic()

    @property
    def watermark(self) -> Watermark:
        """The watermark, as it was begun with or moved to."""
        if self._watermark is None:
            raise RuntimeError("the ledger has not begun")
        return self._watermark

    @property
    def roster(self) -> Roster:
        """The roster, as it was begun with or written."""
        if self._roster is None:
            raise RuntimeError("the ledger has not begun")
        return self._roster

    def end(self) -> None:
        """Leave the connection as it was before, so that another may begin on it."""
        if self._aside is not None and self._aside.is_open:
            self._aside.close()

    def begin(self, watermark: Watermark, roster: Roster) -> None:
        """Go on from what a new leader has made of what the queues hold."""
        self._watermark, self._roster = watermark, roster

    def enqueue(self, tick: Tick, publication: Publication, now: datetime) -> None:
        """Enqueue the message of *tick*, and move the watermark past it; return once both are confirmed.

        Raises:
            NotTaken: the queue is full, or can't be made to exist.
        """
        after = self.watermark.past(tick, now)
        try:
            self._look_after()
            self._declaring.ensure(publication.queue)
            self._publish(publication, after)
        except NotDeclared as error:
            raise NotTaken(str(error)) from None
        self._watermark = after

    def hold_back(self, schedule: str, position: Position) -> None:
        """Leave *schedule* behind at *position*; the next frame says so, and no earlier one lets it be overlooked."""
        self._watermark = self.watermark.holding_back(schedule, position)

    def write_watermark(self, watermark: Watermark) -> None:
        """Replace the watermark without a tick."""
        properties = BasicProperties(delivery_mode=PERSISTENT, headers={HEADER: watermark.encode()})
        self._channel.basic_publish("", self._queues.watermark.name, b"", properties, mandatory=True)
        self._watermark = watermark

    def write_roster(self, roster: Roster) -> None:
        """Replace the roster."""
        properties = BasicProperties(delivery_mode=PERSISTENT)
        self._channel.basic_publish("", self._queues.roster.name, roster.encode(), properties, mandatory=True)
        self._roster = roster

    def record(self, missed: Missed) -> None:
        """Keep a record of ticks that are not enqueued, without a wait: there may be many."""
        properties = BasicProperties(delivery_mode=PERSISTENT)
        if self._aside is None:
            self._aside = self._open_aside()
        self._aside.basic_publish("", self._queues.missed.name, missed.encode(), properties)

    def repeat(self, last: Kept) -> None:
        """Enqueue once more, with the same id, what may have been enqueued without a confirm.

        The watermark, which is where this was found, has moved already.
        """
        properties, headers = last.properties, last.properties.headers or {}
        properties.headers = {name: value for name, value in headers.items() if not name.startswith("x-")}
        try:
            self._channel.basic_publish("", last.routing_key, last.body, properties, mandatory=True)
        except (NackError, UnroutableError) as error:
            log.error("message %s may be lost, since %s refuses it: %r", properties.message_id, last.routing_key, error)

    def _publish(self, publication: Publication, after: Watermark) -> None:
        properties = publication.properties
        properties.headers = self._headers(properties.headers, after)
        try:
            self._channel.basic_publish("", publication.queue.name, publication.body, properties, mandatory=True)
        except (NackError, UnroutableError) as error:
            self._declaring.forget()
            # The watermark may have moved even so. Nobody must take the tick for one that is out.
            self._declaring.declare(self._queues.watermark)
            self.write_watermark(self.watermark)
            refused = "RabbitMQ refuses the message" if isinstance(error, NackError) else "it was not there"
            raise NotTaken(f"queue {publication.queue.name!r}: {refused}") from None

    def _look_after(self) -> None:
        """Write again what somebody has deleted or purged, before a tick is published that would not find it."""
        if time.monotonic() - self._looked_at < SURE_FOR_S:
            return
        self._looked_at = time.monotonic()
        if self._declaring.declare(self._queues.watermark) == 0:
            self.write_watermark(self.watermark)
        if self._declaring.declare(self._queues.roster) == 0 and self._roster is not None:
            self.write_roster(self._roster)

    def _headers(self, own: Mapping[str, Any] | None, watermark: Watermark) -> dict[str, Any]:
        return {**(own or {}), ALSO_TO: [self._queues.watermark.name], HEADER: watermark.encode()}
