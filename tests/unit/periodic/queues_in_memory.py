"""The queues of a scheduler as one process sees them, for tests without RabbitMQ, and a way to die at any write."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from pika import BasicProperties
from pika.exceptions import AMQPConnectionError, NackError

from actors.brokers.topology import Topology
from periodic.ledger import ALSO_TO, HEADER, RabbitmqLedger
from periodic.queues import Publication, Queue
from periodic.roster import Roster
from periodic.schedule import Schedule
from periodic.takeover import Replica, Takeover
from periodic.tick import Tick
from periodic.watermark import Watermark

QUEUES = Topology().periodic()
WORK = Topology().work("default")


@dataclass
class QueuesInMemory:
    """What is in the queues, and the channel with which a leader writes there.

    Attributes:
        watermark, roster: the newest messages.
        jobs: the ids of the messages in the work queue.
        records: the records of missed ticks.
        full: names of schedules whose messages are refused, while the watermark moves all the same.
        dies_at: by how many writes the leader dies; negative for never.
        dies_after: whether that write is done before.
    """

    watermark: str | None = None
    roster: bytes | None = None
    jobs: Counter[str] = field(default_factory=Counter)
    records: list[bytes] = field(default_factory=list)
    full: set[str] = field(default_factory=set)
    dies_at: int = -1
    dies_after: bool = False
    _refused: bool = False

    def ledger(self) -> RabbitmqLedger:
        return RabbitmqLedger(self, lambda: self, self, QUEUES)  # type: ignore[arg-type]  # as far as a ledger needs them

    def begin(self, takeover: Takeover, first: bool) -> RabbitmqLedger:
        """Begin a term, as it is begun on RabbitMQ."""
        ledger = self.ledger()
        if first:
            ledger.write_watermark(takeover.watermark)
        if takeover.is_new:
            ledger.write_roster(takeover.roster)
        ledger.begin(takeover.watermark, takeover.roster)
        return ledger

    def read(self) -> tuple[Roster | None, Watermark | None]:
        roster = None if self.roster is None else Roster.decode(self.roster)
        return roster, None if self.watermark is None else Watermark.decode(self.watermark)

    def basic_publish(
        self, exchange: str, routing_key: str, body: bytes, properties: BasicProperties, mandatory: bool = False
    ) -> None:
        refused = routing_key == WORK.name and body.decode() in self.full
        # To die between a refusal and the watermark that is put right after it is the one way to miss a tick.
        self.dies_at -= not (refused or self._refused)
        self._refused = refused
        dies = self.dies_at == 0 and not refused
        if dies and not self.dies_after:
            raise AMQPConnectionError
        headers: dict[str, Any] = properties.headers or {}
        if QUEUES.watermark.name in (routing_key, *headers.get(ALSO_TO, ())):
            self.watermark = headers[HEADER]
        if routing_key == QUEUES.roster.name:
            self.roster = body
        if routing_key == QUEUES.missed.name:
            self.records.append(body)
        if routing_key == WORK.name and not refused:
            self.jobs[str(properties.message_id)] += 1
        if dies:
            self.dies_at = -1
            raise AMQPConnectionError
        if refused:
            raise NackError([])

    def declare(self, queue: Queue) -> int:
        return 1

    def ensure(self, queue: Queue) -> None:
        pass

    def forget(self) -> None:
        pass


def publication(schedule: Schedule, tick: Tick) -> Publication:
    return Publication(WORK, schedule.name.encode(), BasicProperties(message_id=tick.id))


def replica_of(*schedules: Schedule, started: Any, generation: int = 0) -> Replica:
    return Replica("r", started, {schedule.name: schedule for schedule in schedules}, generation)
