"""Pitfall 22: tasks fail silently, with no log and no alarm."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from services.deadline import until
from tests.integration.project import Project

TASKS = """
    import logging
    from actors import actor, current

    @actor(min_backoff=1, max_backoff=2, max_retries=2)
    def work(number: int, secret: str) -> None:
        logging.getLogger("shop").info("working")
        if number % 3 == 1 and current().number == 1 or number % 3 == 2:
            raise LookupError(f"no order {number}")
"""

SEND = """
from actors import enqueue_many
from structlog.contextvars import bind_contextvars
from working_tasks import work
bind_contextvars(request_id="r1")
messages = enqueue_many(work.message(number, "s3cr3t") for number in range(30))
print(" ".join(message.message_id for message in messages))
"""

ENV = {
    "ACTORS_MODULES": "shop_tasks,working_tasks",
    "ACTORS_LOG_FORMAT": "json",
    "ACTORS_LOG_CONTEXT": "request_id",
    "ACTORS_APP_VERSION": "build 7",
}


def test_p22_each_attempt_is_one_line_of_json_and_each_dead_letter_an_error(project: Project) -> None:
    # Given jobs of which each third is done at once, each third at its second attempt, and each third never
    project.write("working_tasks", TASKS)
    with project.worker(**ENV) as log:
        sent = project.python("-c", SEND, **ENV).stdout.split()
        until(lambda: project.queues(**ENV)["default"]["dead"] == 10, seconds=30, what="the dead letters")
        until(lambda: len(attempts(log)) == 10 + 20 + 30, seconds=30, what="the lines")
        until(lambda: len(letters(log)) == 10, seconds=10, what="the lines of the dead letters")

    # Then each attempt is a line, with ids, outcome and traceback, and no argument
    ids = dict(enumerate(sent))
    expected = Counter((ids[number], 1, "done") for number in range(0, 30, 3))
    expected.update((ids[number], *end) for number in range(1, 30, 3) for end in ((1, "retried"), (2, "done")))
    expected.update(
        (ids[number], *end) for number in range(2, 30, 3) for end in ((1, "retried"), (2, "retried"), (3, "dead"))
    )
    found = attempts(log)
    assert Counter((line["message_id"], line["attempt"], line["outcome"]) for line in found) == expected
    for line in found:
        assert line.keys() >= {"timestamp", "level", "logger", "actor", "queue", "wait_ms", "duration_ms", "worker"}
        assert line["version"] == "build 7"
        failed = line["outcome"] != "done"
        assert line["level"] == ("warning" if failed else "info")
        assert ("LookupError: no order" in line.get("exception", "")) == failed
        assert (line.get("error_type") == "LookupError") == failed
    # (The source line of a traceback has names, and no values.)
    assert "s3cr3t" not in log.read_text()

    # And so does each line that the actor itself has written
    own = [line for line in lines(log) if line["event"] == "working"]
    assert Counter((line["message_id"], line["attempt"]) for line in own) == Counter(each[:2] for each in expected)
    assert {(line["actor"], line["queue"]) for line in own} == {("work", "default")}
    assert {line["worker"] for line in own} == {line["worker"] for line in found}
    assert {line["request_id"] for line in [*own, *found]} == {"r1"}

    # And each dead letter is an error, once, and a warning of actors check
    alarms = [line for line in lines(log) if line["level"] in ("error", "critical")]
    assert alarms == letters(log)
    assert {line["message_id"] for line in alarms} == {ids[number] for number in range(2, 30, 3)}
    for line in alarms:
        assert (line["reason"], line["attempts"], line["error_type"]) == ("exhausted", 3, "LookupError")
        assert "LookupError: no order" in line["exception"]
    finding = project.findings("dead-letters", status=0, **ENV)["default"]
    assert (finding["status"], finding["what"]) == ("warning", "10 dead letters to decide on")


def lines(log: Path) -> list[dict[str, Any]]:
    """What the worker has written, all of it; that of the parent process, which only starts it, is text."""
    written = log.read_text().splitlines()
    return [json.loads(line) for line in written if "[dramatiq.MainProcess]" not in line]


def attempts(log: Path) -> list[dict[str, Any]]:
    return [line for line in lines(log) if line["event"] == "attempt"]


def letters(log: Path) -> list[dict[str, Any]]:
    return [line for line in lines(log) if line["event"] == "dead_letter"]
