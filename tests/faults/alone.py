"""Schedules whose runs must not overlap; what they did is written as ``tests.faults.once`` writes it."""

from actors import actor
from middleware.attempt import current
from periodic import every
from periodic.options import Overlap
from tests.faults.once import effect

POLICIES: tuple[Overlap, ...] = ("skip", "queue_one")


@actor(actor_name="alone_work", periodic=[every(seconds=0.2, name=policy, overlap=policy) for policy in POLICIES])
def work() -> None:
    """Have an effect of the schedule, for longer than until its next tick."""
    effect(current().message.options["tick"]["schedule"], pause_ms=300)


# A scheduler sends what there is to send.
ACTORS = ()
