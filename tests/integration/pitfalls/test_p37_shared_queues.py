"""Pitfall 37: every actor its own queue, and queues multiply."""

from services.deadline import until
from tests.integration.project import Project


def test_p37_actors_share_default_unless_they_say_otherwise(project: Project) -> None:
    assert {name: queue["actors"] for name, queue in project.queues().items()} == {
        "default": ["charge", "refund"],
        "reports": ["report"],
    }


def test_p37_a_queue_that_nothing_uses_any_more_is_shown_as_unused(project: Project) -> None:
    # Given queues that a worker made, and that is gone
    with project.worker():
        until(lambda: not project.queues()["reports"]["unused"], seconds=20, what="its consumer")
    until(lambda: project.consumers() == 0, seconds=20, what="the end of its consumers")
    # When the only actor of one is routed elsewhere
    routes = '{"report": "default"}'
    found = project.queues(ACTORS_QUEUE_ROUTES=routes)
    # Then that one is there still, and nobody's
    assert (found["reports"]["actors"], found["reports"]["unused"]) == ([], True)
    line = next(
        line for line in project.actors("queues", ACTORS_QUEUE_ROUTES=routes).stdout.splitlines() if "reports" in line
    )
    assert line.endswith("unused")


def test_p37_messages_left_where_no_actor_looks_are_named(project: Project) -> None:
    project.actors("send", "report", "--args", '["monday"]')
    found = project.findings("generations", ACTORS_QUEUE_ROUTES='{"report": "default"}')
    assert "which no loaded actor uses any more" in found["reports"]["what"]
