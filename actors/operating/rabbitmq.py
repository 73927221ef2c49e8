"""The schedulers of a RabbitMQ, for an operator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime

from dramatiq.errors import ConnectionFailed
from pika import BlockingConnection
from pika.exceptions import AMQPError

from actors.brokers.admin import Admin
from actors.brokers.rabbitmq import RabbitmqEngine
from actors.operating.schedulers import Schedulers
from actors.operating.tick_records import TickRecords, look
from actors.operating.view import Heard
from middleware import TickRun
from periodic.inquiry import Inquiry
from periodic.ledger import watermark_of
from periodic.missed import Missed
from periodic.resetting import reset_without_leader
from periodic.roster import Roster
from periodic.watermark import Watermark


class RabbitmqView:
    """See :class:`~actors.operating.view.View`; use :func:`rabbitmq_view`."""

    def __init__(self, engine: RabbitmqEngine, admin: Admin, *, timeout_s: float) -> None:
        self._nodes = engine.options.nodes
        self._topology = engine.options.topology
        self._admin = admin
        self._timeout_s = timeout_s
        self._schedulers = Schedulers(admin, self._topology)
        self._records = TickRecords(admin, self._topology)

    @property
    def problem(self) -> str:
        """Why RabbitMQ takes no messages."""
        why = self._admin.blocked
        return f"RabbitMQ has blocked publishers: {why}; see rabbitmq-diagnostics alarms" if why else ""

    def ask(self, inquiry: Inquiry) -> Heard:
        """Return what all schedulers answer to *inquiry*."""
        return self._schedulers.ask(inquiry)

    def tell(self, inquiry: Inquiry) -> Heard:
        """Return what is answered to *inquiry* once a leader has answered it, or none has in time."""
        return self._schedulers.tell(inquiry, timeout_s=self._timeout_s)

    def kept(self) -> tuple[Roster | None, Watermark | None]:
        """Return roster and watermark; they are given back at once."""
        queues = self._topology.periodic()
        roster = watermark = None
        if held := look(self._admin, queues.roster, 2):
            roster = Roster.decode(held[-1].body)
        if held := look(self._admin, queues.watermark, 2):
            watermark = watermark_of(held[-1].properties)
        return roster, watermark

    def runs(self, names: set[str]) -> list[TickRun]:
        """Return the records of runs of schedules with *names*."""
        return self._records.runs(names)

    def missed(self, names: set[str]) -> list[Missed]:
        """Return the records of missed ticks of schedules with *names*."""
        return self._records.missed(names)

    def reset_watermark(self, to: datetime, now: datetime, *, force: bool) -> str:
        """Move the watermark to *to*: this process takes the baton for a moment."""
        try:
            with closing(BlockingConnection(self._nodes.parameters("operator"))) as connection:
                queues = self._topology.periodic()
                return reset_without_leader(connection, queues, to, now, force=force, timeout_s=self._timeout_s)
        except AMQPError as error:
            raise ConnectionFailed(f"{self._nodes}: {error!r}") from None


@contextmanager
def rabbitmq_view(engine: RabbitmqEngine, *, timeout_s: float) -> Iterator[RabbitmqView]:
    """Look at the schedulers of the RabbitMQ of *engine*.

    Args:
        engine: where they are.
        timeout_s: how long RabbitMQ may take to answer, and how long a leader is looked for, in seconds.
    """
    with Admin(engine.options.nodes, timeout_s=timeout_s) as admin:
        yield RabbitmqView(engine, admin, timeout_s=timeout_s)
