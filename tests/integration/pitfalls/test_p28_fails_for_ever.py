"""Pitfall 28: a task fails for ever and eats the workers."""

from services.deadline import until
from tests.integration.dead import dead_letters
from tests.integration.project import Project

TASKS = """
    from actors import actor

    @actor(min_backoff=1, max_backoff=2)
    def fail(number: int) -> None:
        raise LookupError(f"no order {number}")
"""

SEND = """
from actors import enqueue_many
from failing_tasks import fail
from shop_tasks import charge
enqueue_many([*(fail.message(number) for number in range(50)), charge.message(7)])
"""

ENV = {"ACTORS_MODULES": "shop_tasks,failing_tasks"}


def test_p28_what_always_fails_ends_in_the_dead_letters_and_others_go_on(project: Project) -> None:
    project.write("failing_tasks", TASKS)
    with project.worker(**ENV):
        assert project.python("-c", SEND, **ENV).returncode == 0
        until(lambda: project.ran() == ["7"], seconds=20, what="another job")
        until(lambda: project.queues(**ENV)["default"]["dead"] == 50, seconds=30, what="the dead letters")
        assert project.queues(**ENV)["default"]["ready"] == 0

    # Each with the whole of its failure
    letters = dead_letters(project)
    assert sorted(letter.args[0] for letter in letters) == list(range(50))
    for letter in letters:
        number = letter.args[0]
        assert letter.options["failure"] == {
            "reason": "exhausted",
            "type": "LookupError",
            "message": f"no order {number}",
        }
        assert [each["attempt"] for each in letter.options["attempts"]] == [1, 2, 3, 4, 5, 6]
        assert {each["error"] for each in letter.options["attempts"]} == {f"LookupError: no order {number}"}
        assert letter.options["attempts"][-1]["reason"] == "exhausted"
        raised = f'raise LookupError(f"no order {{number}}")\nLookupError: no order {number}'
        assert raised in letter.options["traceback"]
