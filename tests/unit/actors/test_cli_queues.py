"""What is made of the queues that were seen."""

import dramatiq
import pytest

from actors.brokers.admin import Depth
from actors.brokers.topology import Queue
from actors.checks.queues import LogicalQueue, PhysicalQueue, Role, users_of_queues
from actors.decorator import Actor
from periodic import every
from tests.unit.actors.conftest import Application


def physical(role: Role, messages: int | None = None, consumers: int = 0) -> PhysicalQueue:
    return PhysicalQueue(Queue(role), role, None if messages is None else Depth(messages, consumers))


def logical(*queues: PhysicalQueue) -> LogicalQueue:
    return LogicalQueue("default", ("charge",), queues)


def test_all_generations_count_together_and_the_dead_apart() -> None:
    queue = logical(physical("work", 2, 1), physical("earlier", 3, 1), physical("plain-delay", 4), physical("dead", 5))
    assert (queue.ready, queue.consumers, queue.dead) == (9, 2, 5)


@pytest.mark.parametrize(
    ("queues", "unused"),
    [
        ([physical("work", 0)], True),
        ([physical("work", 1)], False),
        ([physical("work", 0, 1)], False),
        ([physical("work")], False),
        ([physical("work", 0, 1), physical("earlier", 0)], False),
        ([physical("work"), physical("earlier", 0)], True),
        ([physical("work", 0), physical("dead", 3)], True),
        ([physical("work"), physical("dead", 0)], False),
    ],
)
def test_unused_is_what_exists_without_message_and_consumer(queues: list[PhysicalQueue], unused: bool) -> None:
    assert logical(*queues).unused is unused


def test_the_dead_letters_are_never_unused() -> None:
    assert not physical("dead", 0).unused


def test_queues_that_nobody_uses_any_more_are_looked_at_too(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTORS_QUEUE_ROUTES", '{"report_*": "slow", "nothing": "gone"}')

    def actor(name: str, queue: str) -> Actor[[], None]:
        return Actor(
            lambda: None, broker=dramatiq.get_broker(), actor_name=name, queue_name=queue, priority=0, options={}
        )

    users = users_of_queues(
        [actor("charge", "default"), actor("refund", "default"), actor("report_sales", "reports")],
        {"report_*": "slow", "nothing": "gone"},
    )
    assert users == {"default": ["charge", "refund"], "slow": ["report_sales"], "reports": [], "gone": []}


def test_queues_that_only_schedules_use_are_looked_at_too(application: Application) -> None:
    report = Actor(
        lambda: None,
        broker=dramatiq.get_broker(),
        actor_name="report",
        queue_name="reports",
        priority=0,
        options={
            "periodic": [
                every(hours=1, name="late", queue="night"),
                every(hours=2, name="later", queue="night"),
                every(hours=1, name="usual", queue="reports"),
            ]
        },
    )
    assert users_of_queues([report], {}) == {"reports": ["report"], "night": ["report"]}
