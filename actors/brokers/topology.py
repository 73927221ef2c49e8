"""Every queue's name and arguments; no other module knows them.

A queue's physical name follows from its arguments, so that a change of type or of priorities makes a new queue
beside the old one instead of ending in ``PRECONDITION_FAILED``. Each such queue is a *generation* of its logical queue.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from periodic.missed import MOST_MISSED
from periodic.pace import Pace
from periodic.queues import Queues

QueueType = Literal["quorum", "classic"]
Arguments = Mapping[str, object]

# Blame for a lost worker is counted by start, not by delivery; this is a backstop only.
DELIVERY_LIMIT = 1_000
# Holding and looking requeue as a matter of course. Without a limit a requeued message goes to the back.
NO_DELIVERY_LIMIT = 1_000_000_000

FIRST_HOLD_MS = 100
HOLDS_MS = tuple(FIRST_HOLD_MS * 2**k for k in range(28))

# Records of runs of ticks, for each pace of theirs; the oldest make room for new ones.
MOST_RUNS = 2_500

# How long after its last attempt a migration can go on where it was cut off: a week.
FORGOTTEN_AFTER_MS = 604_800_000


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue in RabbitMQ: its physical name, and the arguments it is declared with."""

    name: str
    arguments: Arguments = field(default_factory=dict)

    @property
    def is_quorum(self) -> bool:
        """Whether it is replicated; what is requeued there does not go back to its place among others."""
        return self.arguments.get("x-queue-type") == "quorum"


@dataclass(frozen=True, slots=True)
class Topology:
    """The queues of one environment.

    Attributes:
        queue_type: what new queues are; quorum queues survive the loss of a node.
        prefix: put before every physical name, so that environments can share a RabbitMQ.
        max_priority: classic queues only: the highest ``broker_priority``, or None for queues without priorities.
    """

    queue_type: QueueType = "quorum"
    prefix: str = ""
    max_priority: int | None = None

    def work(self, queue: str) -> Queue:
        """The generation of logical *queue* that producers publish to."""
        return self._work(queue, self.queue_type, self.max_priority)

    def earlier(self, queue: str) -> list[Queue]:
        """Other generations of logical *queue* that may exist, and are consumed if they do.

        Among them is the queue of plain Dramatiq.
        """
        generations = [
            self._work(queue, "classic", None),
            self._work(queue, "quorum", None),
        ]
        return [each for each in generations if each.name != self.work(queue).name]

    def dead(self, queue: str) -> Queue:
        """Where the dead letters of logical *queue* wait for a human; they never expire."""
        if self.queue_type == "classic":
            return Queue(self._prefixed(f"{queue}.XQ"))
        return Queue(
            self._prefixed(f"{queue}.quorum.XQ"),
            # Whoever looks at them returns them, and must not lose or reorder them by that.
            {"x-queue-type": "quorum", "x-delivery-limit": NO_DELIVERY_LIMIT},
        )

    def under_other_type(self) -> Topology:
        """The queues that there may be from before ``ACTORS_QUEUE_TYPE`` was changed."""
        return Topology("classic" if self.queue_type == "quorum" else "quorum", self.prefix)

    def plain_delay(self, queue: str) -> Queue:
        """Where plain Dramatiq keeps the delayed messages of logical *queue*; looked at, never made."""
        return Queue(self._prefixed(f"{queue}.DQ"), self._plain_arguments(queue))

    def hold(self, hold_ms: int) -> Queue:
        """The queue in which every message waits *hold_ms* milliseconds, one of ``HOLDS_MS``."""
        if self.queue_type == "classic":
            return Queue(self._prefixed(f"hold.{hold_ms}"))
        return Queue(
            self._prefixed(f"hold.{hold_ms}.quorum"),
            {"x-queue-type": "quorum", "x-delivery-limit": NO_DELIVERY_LIMIT},
        )

    def holds(self) -> dict[int, Queue]:
        """All hold queues by their hold in milliseconds, shortest first."""
        return {hold_ms: self.hold(hold_ms) for hold_ms in HOLDS_MS}

    def periodic(self) -> Queues:
        """The queues of the schedulers."""
        newest_only = {"x-max-length": 1}
        return Queues(
            baton=self._ledger("baton", {**newest_only, "x-single-active-consumer": True}),
            watermark=self._ledger("watermark", newest_only),
            roster=self._ledger("roster", newest_only),
            # Of whatever type the others are: a quorum queue keeps what is not persistent, too.
            alive=Queue(self._prefixed("periodic.alive"), newest_only),
            missed=self._ledger("missed", {"x-max-length": MOST_MISSED}),
        )

    def runs(self, pace: Pace) -> Queue:
        """Where workers record the newest runs of ticks whose schedules have *pace*."""
        return self._ledger(f"runs.{pace}", {"x-max-length": MOST_RUNS})

    @property
    def schedulers(self) -> str:
        """The exchange through which all schedulers are asked, and told, what operators want."""
        return self._prefixed("schedulers")

    @property
    def connected_schedulers(self) -> Queue:
        """A queue that all schedulers consume, and nobody publishes to: its consumers are counted."""
        return Queue(self._prefixed("schedulers.connected"))

    def scheduler(self, name: str) -> Queue:
        """The queue by which the scheduler *name* is asked; it goes when its connection does."""
        return Queue(self._prefixed(f"scheduler.{name}"))

    def expiring(self, into: str) -> Queue:
        """A queue whose messages expire at once, and go on *into* another; it goes when its connection does."""
        at_once = {"x-message-ttl": 0, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": into}
        return Queue(f"{into}.expiring", at_once)

    @property
    def relays(self) -> str:
        """The exchange through which all relays are asked what they keep."""
        return self._prefixed("relays")

    def relay(self, name: str) -> Queue:
        """The queue by which the relay *name* is asked; it goes when its connection does."""
        return Queue(self._prefixed(f"relay.{name}"))

    def moved(self, name: str) -> Queue:
        """Where it stands what of the migration *name* has come here; holds one message at most."""
        return Queue(self._prefixed(f"moved.{name}"), {"x-max-length": 1, "x-expires": FORGOTTEN_AFTER_MS})

    def mover(self, name: str) -> Queue:
        """The queue whose only consumer may move what is left of the migration *name*; nothing is ever in it."""
        return Queue(self._prefixed(f"mover.{name}"), {"x-expires": FORGOTTEN_AFTER_MS})

    def _work(self, queue: str, queue_type: QueueType, max_priority: int | None) -> Queue:
        if queue_type == "quorum":
            return Queue(
                self._prefixed(f"{queue}.quorum"),
                {
                    "x-queue-type": "quorum",
                    "x-delivery-limit": DELIVERY_LIMIT,
                    "x-dead-letter-exchange": "",
                    "x-dead-letter-routing-key": self._prefixed(f"{queue}.quorum.XQ"),
                    # With at-most-once dead-lettering the backstop itself could lose a message.
                    "x-dead-letter-strategy": "at-least-once",
                    "x-overflow": "reject-publish",
                },
            )
        arguments = self._plain_arguments(queue)
        if max_priority is None:
            return Queue(self._prefixed(queue), arguments)
        return Queue(self._prefixed(f"{queue}.p{max_priority}"), {**arguments, "x-max-priority": max_priority})

    def _ledger(self, name: str, arguments: Arguments) -> Queue:
        if self.queue_type == "classic":
            return Queue(self._prefixed(f"periodic.{name}"), arguments)
        # What is read there is requeued, any number of times.
        quorum = {"x-queue-type": "quorum", "x-delivery-limit": NO_DELIVERY_LIMIT}
        return Queue(self._prefixed(f"periodic.{name}.quorum"), {**arguments, **quorum})

    def _plain_arguments(self, queue: str) -> Arguments:
        """What plain Dramatiq declares a queue with."""
        return {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": self._prefixed(f"{queue}.XQ")}

    def _prefixed(self, name: str) -> str:
        return f"{self.prefix}.{name}" if self.prefix else name
