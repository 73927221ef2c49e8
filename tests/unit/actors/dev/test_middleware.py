"""What a worker tells of its attempts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from dramatiq import Worker

from actors import actor
from actors.dev.middleware import Telling
from actors.dev.telling import heard
from actors.testing import StubBroker, drain

Tell = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def told(stub_broker: StubBroker, capfd: pytest.CaptureFixture[str]) -> Iterator[Tell]:
    """Return a function that returns what was told since its last call."""
    attempts, root = logging.getLogger("middleware.attempt_log"), logging.getLogger()
    before = attempts.handlers[:], attempts.level, attempts.disabled
    logging.disable(logging.NOTSET)
    attempts.disabled = True  # as an application's own configuration may
    handler = logging.StreamHandler()
    root.addHandler(handler)
    telling = Telling()
    stub_broker.add_middleware(telling)
    telling.after_worker_boot(stub_broker, Worker(stub_broker))

    def read() -> list[dict[str, Any]]:
        return [event for line in capfd.readouterr().err.split("\n") if (event := heard(line)[1]) is not None]

    yield read
    attempts.handlers, attempts.level, attempts.disabled = before
    root.removeHandler(handler)


def test_it_tells_that_it_is_ready_and_how_attempts_begin_and_end(told: Tell) -> None:
    @actor
    def charge(number: int) -> None: ...

    [ready] = told()
    assert ready["event"] == "ready"
    message = charge.send(1)
    drain()
    began, ended = told()
    about = {"message_id": message.message_id, "actor": "charge", "queue": "default", "attempt": 1}
    assert began == {"event": "started", **about}
    assert ended.items() >= {"event": "ended", "outcome": "done", **about}.items()


def test_what_does_not_run_does_not_begin(told: Tell) -> None:
    @actor(idempotency_key="{number}")
    def charge(number: int) -> None: ...

    charge.send(1)
    charge.send(1)
    drain()
    events = [(each["event"], each.get("outcome")) for each in told()[1:]]
    assert events == [("started", None), ("ended", "done"), ("ended", "duplicate")]
