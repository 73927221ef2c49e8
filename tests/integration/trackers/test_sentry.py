"""What Sentry gets of messages that fail: its own SDK in a real worker, with a transport that writes to a file."""

import json
from collections import Counter
from typing import Any

import pika
import pytest

import services
from actors.brokers.topology import Topology
from services.deadline import until
from tests.integration.broker.conftest import full
from tests.integration.project import Project
from tests.integration.supervised import supervised

SENTRY = """
    import json
    from pathlib import Path

    import sentry_sdk
    from sentry_sdk.integrations.dramatiq import DramatiqIntegration
    from sentry_sdk.transport import Transport

    from middleware import once_per_failure

    class ToFile(Transport):
        def capture_envelope(self, envelope):
            event = envelope.get_event()
            if event is not None:
                with Path("events").open("a") as events:
                    events.write(json.dumps(event, default=str) + "\\n")

    sentry_sdk.init(
        dsn="https://key@sentry.test/1",
        transport=ToFile,
        integrations=[DramatiqIntegration()],
        before_send=once_per_failure,
    )
"""

# Sentry's integration changes brokers that are made after it.
BEFORE = "import shop_sentry\nfrom actors import broker"
AFTER = "from actors import broker\nimport shop_sentry"

TASKS = """
    import logging
    import os
    import signal
    from datetime import date
    from pathlib import Path

    from actors import actor, current

    def note(name: str) -> None:
        with Path("attempts").open("a") as attempts:
            attempts.write(f"{name}\\n")

    @actor(min_backoff=1)
    def heal() -> None:
        note("heal")
        if Path("attempts").read_text().split().count("heal") < 2:
            raise LookupError("not yet")

    @actor(min_backoff=1, max_retries=2)
    def fail(number: int) -> None:
        note("fail")
        raise LookupError(f"no order {number}")

    @actor(min_backoff=1, max_retries=1, idempotent=False)
    def fail_unguarded() -> None:
        note("fail_unguarded")
        raise LookupError("no order")

    @actor
    def book(day: date) -> None: ...

    @actor(throws=KeyError)
    def throw() -> None:
        raise KeyError("expected")

    @actor(retry_when=lambda retries, error: False)
    def refuse() -> None:
        raise TimeoutError("hopeless")

    @actor(max_age=1_000)
    def hurry() -> None: ...

    @actor(idempotency_key="one")
    def once(number: int) -> None: ...

    @actor
    def produce() -> str:
        return "x" * 200_000

    @actor
    def take(text: str) -> None: ...

    @actor
    def spoil() -> None:
        current().message.options["spoiled"] = object()
        raise LookupError("can't be tried again")

    @actor(max_losses=1, lease=500)
    def die() -> None:
        note("die")
        os.kill(os.getpid(), signal.SIGKILL)

    @actor
    def warn() -> None:
        logging.getLogger("shop").error("the shop's own error")
"""

SEND = """
import sys
from failing_tasks import *
sending = {
    "heal": heal.send,
    "fail": lambda: fail.send(7),
    "fail_unguarded": fail_unguarded.send,
    "throw": throw.send,
    "refuse": refuse.send,
    "hurry": lambda: hurry.broker.enqueue(hurry.message().copy(message_timestamp=1)),
    "once": lambda: [once.send(1), once.send(2)],
    "spoil": spoil.send,
    "produce": (produce.message() | take.message()).run,
    "die": die.send,
    "warn": warn.send,
}
for name in sys.argv[1:]:
    sending[name]()
"""

UNKNOWN = {"queue_name": "default", "actor_name": "nobody", "args": [], "kwargs": {}, "options": {}}
UNFIT = UNKNOWN | {"actor_name": "book", "args": ["no date"]}
FOREIGN = [
    b"\x80 no message",
    json.dumps(UNKNOWN | {"message_id": "of-nobody", "message_timestamp": 1}).encode(),
    json.dumps(UNFIT | {"message_id": "unfit", "message_timestamp": 1}).encode(),
]

ENV = {"ACTORS_MODULES": "shop_tasks,failing_tasks", "ACTORS_QUEUE_TYPE": "classic", "ACTORS_APP_VERSION": "7.1"}


def write(project: Project, order: str) -> None:
    project.write("failing_tasks", TASKS)
    project.write("shop_sentry", SENTRY)
    project.write("shop_broker", order)


def send(project: Project, *names: str) -> None:
    sent = project.python("-c", SEND, *names, **ENV)
    assert sent.returncode == 0, sent.stderr


def publish(project: Project, *bodies: bytes) -> None:
    """Send *bodies* as another producer would."""
    work = Topology("classic", project.prefix).work("default").name
    with pika.BlockingConnection(pika.URLParameters(project.env["ACTORS_BROKER_URL"])) as connection:
        channel = connection.channel()
        for body in bodies:
            channel.basic_publish("", work, body)


def events(project: Project) -> list[dict[str, Any]]:
    file = project.folder / "events"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def wait_for_dead(project: Project, count: int) -> None:
    until(lambda: project.queues(**ENV)["default"]["dead"] == count, seconds=40, what=f"{count} dead letters")


@pytest.mark.parametrize("order", [BEFORE, AFTER], ids=["before the broker", "after the broker"])
def test_sentry_gets_one_event_for_each_message_that_has_failed_for_good(project: Project, order: str) -> None:
    # When messages fail in every way there is, and one is done at its second attempt
    write(project, order)
    with supervised(project, "shop_broker", **ENV) as worker:
        send(project, "die")
        wait_for_dead(project, 1)
        assert len(worker.deaths) == 1
        publish(project, *FOREIGN)
        send(project, "heal", "fail", "fail_unguarded", "throw", "refuse", "hurry", "once", "produce", "spoil", "warn")
        wait_for_dead(project, 12)
        until(lambda: len(events(project)) >= 13, seconds=20, what="the events")

    # Then each dead letter is one event, its attempts are none, and what is no attempt stays
    told = events(project)
    assert Counter((each.get("tags") or {}).get("reason") for each in told) == {
        "conflict": 1,
        "exhausted": 2,
        "expired": 1,
        "poison": 1,
        "predicate": 1,
        "throws": 1,
        "too_large": 2,
        "undecodable": 2,
        "unknown_actor": 1,
        None: 1,
    }
    [own] = [each for each in told if "dead_letter" not in each["contexts"]]
    assert own["logger"] == "shop"
    attempts = Counter((project.folder / "attempts").read_text().split())
    assert attempts == {"heal": 2, "fail": 3, "fail_unguarded": 2, "die": 1}


def test_an_event_has_the_stack_the_tags_and_the_group_of_its_failure(project: Project) -> None:
    write(project, BEFORE)
    with supervised(project, "shop_broker", **ENV):
        send(project, "fail", "fail", "refuse")
        publish(project, *FOREIGN)
        wait_for_dead(project, 6)
        until(lambda: len(events(project)) == 6, seconds=20, what="the events")

    told = events(project)
    one, other = (each for each in told if each["tags"].get("actor") == "fail")
    [unfit] = (each for each in told if each["tags"].get("actor") == "book")
    [unreadable] = (each for each in told if "actor" not in each["tags"])

    # The error as it was raised, not as it was wrapped
    [error] = one["exception"]["values"]
    assert (error["type"], error["value"]) == ("LookupError", "no order 7")
    assert error["stacktrace"]["frames"][-1]["function"] == "fail"
    assert unfit["exception"]["values"][-1]["type"] == "ArgumentsError"
    assert "exception" not in unreadable

    # What to search by, and all the rest
    letter = one["contexts"]["dead_letter"]
    assert one["tags"] == {
        "actor": "fail",
        "queue": "default",
        "reason": "exhausted",
        "message_id": letter["message_id"],
        "version": "7.1",
    }
    assert (letter["attempts"], letter["error_type"], letter["error"]) == (3, "LookupError", "no order 7")
    assert "dead_letter" not in one["extra"]
    assert unreadable["tags"] == {"queue": "default", "reason": "undecodable", "version": "7.1"}

    # One group of a kind of error
    assert one["fingerprint"] == other["fingerprint"] == ["fail", letter["fingerprint"]]
    assert len({tuple(each["fingerprint"]) for each in told}) == 5


def test_a_dead_letter_that_rabbitmq_refuses_at_first_is_told_once(
    project: Project, rabbitmq_server: services.RabbitMQ
) -> None:
    write(project, BEFORE)
    with supervised(project, "shop_broker", **ENV) as worker:
        # When its dead letter is refused, so that it is delivered once more
        with full(rabbitmq_server, project.prefix, r".*XQ"):
            send(project, "fail")
            again = "its dead letter is forwarded once more"
            until(lambda: again in worker.log.read_text(), seconds=30, what="a second delivery")
            assert events(project) == []
        wait_for_dead(project, 1)
        until(lambda: events(project), seconds=20, what="the event")

        # And what is told after it has been told
        send(project, "warn")
        until(lambda: events(project)[-1]["logger"] == "shop", seconds=20, what="the last event")

    first, *others = events(project)
    assert first["tags"]["reason"] == "exhausted"
    assert len(others) == 1
    assert (project.folder / "attempts").read_text().split() == ["fail"] * 3
