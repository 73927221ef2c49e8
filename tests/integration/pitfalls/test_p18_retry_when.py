"""Pitfall 18: a ``retry_when`` that returns None means never retry, silently, and overrides ``max_retries``."""

from services.deadline import until
from tests.integration.dead import dead_letters
from tests.integration.project import Project

TASKS = """
    import threading
    from datetime import timedelta
    from pathlib import Path

    from actors import actor

    def note(name: str) -> None:
        with Path("attempts").open("a") as attempts:
            attempts.write(f"{name}\\n")

    def declare(name, retry_when, **options):
        def work() -> None:
            note(name)
            raise LookupError(name)

        work.__qualname__ = name
        return actor(actor_name=name, min_backoff=1, max_retries=2, retry_when=retry_when, **options)(work)

    def broken(retries, error):
        raise KeyError("no such field")

    declare("none", lambda retries, error: None)
    declare("always", lambda retries, error: True)
    declare("soon", lambda retries, error: timedelta(milliseconds=10))
    declare("never", lambda retries, error: False)
    declare("yes", lambda retries, error: "yes")
    declare("broken", broken)
    declare("stuck", lambda retries, error: threading.Event().wait())
"""

SEND = """
import sys
import actors, retry_tasks
for name in sys.argv[1:]:
    actors.broker.get_actor(name).send()
"""

ENV = {"ACTORS_MODULES": "shop_tasks,retry_tasks"}
NAMES = ("none", "always", "soon", "never", "yes", "broken", "stuck")


def test_p18_a_predicate_says_what_it_means_and_the_limits_hold(project: Project) -> None:
    project.write("retry_tasks", TASKS)
    with project.worker(**ENV):
        assert project.python("-c", SEND, *NAMES, **ENV).returncode == 0
        until(lambda: project.queues(**ENV)["default"]["dead"] == len(NAMES), seconds=30, what="all dead letters")
    ran = (project.folder / "attempts").read_text().split()
    letters = {letter.actor_name: letter.options for letter in dead_letters(project)}

    # None is no opinion, True obeys max_retries, and so does a delay: three times, not ten
    assert {name: ran.count(name) for name in NAMES} == {
        "none": 3,
        "always": 3,
        "soon": 3,
        "never": 1,
        "yes": 1,
        "broken": 1,
        "stuck": 1,
    }
    assert {name: letters[name]["failure"]["reason"] for name in NAMES} == {
        "none": "exhausted",
        "always": "exhausted",
        "soon": "exhausted",
        "never": "predicate",
        "yes": "predicate",
        "broken": "predicate",
        "stuck": "predicate",
    }
    # The error is the job's, and the trail says what was wrong with the predicate
    assert {letters[name]["failure"]["type"] for name in NAMES} == {"LookupError"}
    why = {name: letters[name]["attempts"][-1].get("why") for name in NAMES}
    assert why["yes"] == "retry_when returned 'yes'; it must return True, False, a timedelta or None"
    assert why["broken"] == "retry_when raised KeyError: 'no such field'"
    assert why["stuck"] == "retry_when did not return within 5 s"
    assert why["yes"] in letters["yes"]["traceback"]
    # Who decided about each attempt
    assert [each["by"] for each in letters["none"]["attempts"]] == ["policy", "policy", "max_retries"]
    assert [each["by"] for each in letters["always"]["attempts"]] == ["predicate", "predicate", "max_retries"]
    assert [each.get("delay") for each in letters["soon"]["attempts"]] == [10, 10, None]
