"""An actor of which one attempt may run at a time; what it did is written as ``tests.faults.once`` writes it."""

from actors import actor
from tests.faults.once import effect


@actor(actor_name="limited_work", max_concurrency=1)
def work(key: str, pause_ms: int) -> None:
    """Have an effect of the key."""
    effect(key, pause_ms)


ACTORS = (work,)
