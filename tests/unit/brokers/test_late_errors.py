"""What a hook raises at the end of an attempt neither ends the message nor doubles it, and loses nothing."""

from __future__ import annotations

from typing import Any

import dramatiq
import pytest
from dramatiq.middleware import Middleware, Shutdown

from actors import actor
from actors.testing import StubBroker, drain, enqueued
from middleware.failure import failure_of

BEFORE_ALL, AFTER_ALL = 99, 0

places = pytest.mark.parametrize("place", [BEFORE_ALL, AFTER_ALL], ids=["before all", "after all"])


class Raising(Middleware):
    """Raises errors, one after each attempt, as long as there are any."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = iter(errors)

    def after_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy, **_: Any) -> None:
        for error in self.errors:
            raise error


@places
def test_an_error_of_a_hook_is_not_that_of_its_message(stub_broker: StubBroker, place: int) -> None:
    stub_broker.middleware.insert(place, Raising(*[KeyError("mine")] * 9))
    told: list[str] = []
    actor(actor_name="failed")(lambda message, outcome: told.append(outcome["reason"]))

    @actor(max_retries=1, on_failure="failed")
    def charge() -> None:
        raise ConnectionError("busy")

    charge.send()
    outcomes = [each.outcome for each in drain(raises=False).attempts]
    assert (outcomes, len(enqueued()), stub_broker.dead_letters, told) == (["retried"], 1, [], [])

    drain(raises=False, with_delays=True)
    (letter,) = stub_broker.dead_letters
    assert (failure_of(letter).reason, enqueued(), told) == ("exhausted", [], ["exhausted"])


@places
@pytest.mark.parametrize("idempotent", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_an_interrupt_that_comes_late_lets_the_message_come_again(
    stub_broker: StubBroker, place: int, idempotent: bool, fails: bool
) -> None:
    """It was meant for the actor, and appears where the end of its attempt is seen to."""
    stub_broker.middleware.insert(place, Raising(Shutdown()))
    attempts: list[int] = []

    @actor(idempotent=idempotent, min_backoff=1)
    def charge() -> None:
        attempts.append(1)
        if fails and len(attempts) == 1:
            raise ConnectionError("busy")

    charge.send()
    first, *others = drain(raises=False, with_delays=True).attempts

    assert (first.outcome, enqueued(), stub_broker.dead_letters) == ("requeued", [], [])
    assert others[-1].outcome in ("done", "skipped")
    assert len(attempts) == (2 if fails or not idempotent else 1)
