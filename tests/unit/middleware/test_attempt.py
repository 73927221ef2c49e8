"""What an actor can ask of the attempt that runs it."""

from __future__ import annotations

import asyncio
import threading
from datetime import date
from uuid import UUID

import dramatiq
import pytest
from dramatiq.middleware import Middleware, SkipMessage

from actors import actor, assembly
from actors.testing import StubBroker, drain
from middleware import Attempt, NoAttempt, current
from middleware.keys import digest


@pytest.fixture
def seen() -> list[Attempt]:
    return []


def test_a_plain_actor_sees_its_attempt(stub_broker: StubBroker, seen: list[Attempt]) -> None:
    @actor(idempotency_key="charge:{order_id}")
    def charge(order_id: int) -> None:
        seen.append(current())

    message = charge.send(1)
    drain()

    (attempt,) = seen
    record = assembly.store().inspect(digest("charge", "charge:1"))
    assert record is not None
    assert (attempt.number, attempt.scope, attempt.key) == (1, "charge", "charge:1")
    assert (attempt.maybe_ran, attempt.fence) == (False, record.fence)
    assert attempt.message.message_id == message.message_id


def test_an_async_actor_sees_its_attempt_also_in_its_tasks(stub_broker: StubBroker, seen: list[Attempt]) -> None:
    async def look() -> None:
        await asyncio.sleep(0)
        seen.append(current())

    @actor(scope="shop")
    async def charge() -> None:
        seen.append(current())
        await asyncio.gather(look(), look())

    message = charge.send()
    drain()

    assert seen == [seen[0]] * 3
    assert (seen[0].scope, seen[0].key) == ("shop", message.message_id)


def test_async_actors_that_run_at_the_same_time_see_their_own(stub_broker: StubBroker) -> None:
    arrived, seen = threading.Barrier(2, timeout=10), dict[int, str | None]()

    @actor(idempotency_key="{number}")
    async def charge(number: int) -> None:
        await asyncio.to_thread(arrived.wait)
        seen[number] = current().key

    worker = dramatiq.Worker(stub_broker, worker_timeout=10, worker_threads=2)
    worker.start()
    try:
        charge.send(1)
        charge.send(2)
        stub_broker.join("default", timeout=10_000)
    finally:
        worker.stop()

    assert seen == {1: "1", 2: "2"}


def test_outside_of_actors_there_is_no_attempt(stub_broker: StubBroker) -> None:
    raised: list[BaseException] = []

    def look() -> None:
        try:
            current()
        except NoAttempt as error:
            raised.append(error)

    @actor
    def charge() -> None:
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()

    look()
    charge.send()
    drain()
    look()

    assert [str(error) for error in raised] == ["current() was called where no actor runs"] * 3


@pytest.mark.parametrize("ending", ["done", "failed", "skipped"])
def test_when_an_attempt_is_over_its_thread_has_none(stub_broker: StubBroker, ending: str) -> None:
    class Skip(Middleware):
        def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
            current()
            raise SkipMessage

    after: list[str] = []

    class Listener(Middleware):
        def after_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy, **_: object) -> None:
            look()

        def after_skip_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
            look()

    def look() -> None:
        try:
            current()
            after.append("an attempt")
        except NoAttempt:
            after.append("none")

    # First in the list, its after-hooks are called last.
    stub_broker.middleware.insert(0, Listener())
    if ending == "skipped":
        stub_broker.add_middleware(Skip())

    @actor(max_retries=0)
    def charge() -> None:
        if ending == "failed":
            raise ConnectionError

    charge.send()
    drain(raises=False)

    assert after == ["none"]


def test_attempts_are_numbered_from_one(stub_broker: StubBroker, seen: list[Attempt]) -> None:
    @actor
    def charge() -> None:
        seen.append(current())
        if len(seen) < 3:
            raise ConnectionError

    charge.send()
    drain(retries=True, with_delays=True)

    assert [attempt.number for attempt in seen] == [1, 2, 3]
    assert len({attempt.message.message_id for attempt in seen}) == 1


def test_fences_rise_from_attempt_to_attempt_and_from_key_to_key(stub_broker: StubBroker, seen: list[Attempt]) -> None:
    @actor
    def charge(fails: bool) -> None:
        seen.append(current())
        if fails and current().number < 3:
            raise ConnectionError

    charge.send(True)
    charge.send(False)
    drain(retries=True, with_delays=True)

    fences = [attempt.fence for attempt in seen]
    assert fences == sorted(set(fences))
    assert len(fences) == 4
    assert fences[0] > 0


def test_a_downstream_key_is_the_same_in_every_attempt_and_another_for_each_step(
    stub_broker: StubBroker, seen: list[Attempt]
) -> None:
    @actor(idempotency_key="order")
    def charge() -> None:
        seen.append(current())
        if len(seen) < 2:
            raise ConnectionError

    @actor(idempotency_key="order")
    def refund() -> None:
        seen.append(current())

    charge.send()
    refund.send()
    drain(retries=True, with_delays=True)

    first, other, second = seen
    assert first.downstream_key("capture") == second.downstream_key("capture")
    assert UUID(first.downstream_key("capture")).version == 5
    keys = {each.downstream_key(step) for each in (first, other) for step in ("capture", "mail", "")}
    assert len(keys) == 6


def test_scopes_keys_and_steps_can_not_pass_for_one_another(stub_broker: StubBroker, seen: list[Attempt]) -> None:
    for name, scope, key in [("a", "ab", "c"), ("b", "a", "bc"), ("c", "a", "b")]:
        actor(actor_name=name, scope=scope, idempotency_key=key)(lambda: seen.append(current())).send()
    drain()

    keys = {seen[0].downstream_key("d"), seen[1].downstream_key("d"), seen[2].downstream_key("cd")}
    assert len(keys) == 3


def test_an_unguarded_actor_sees_its_attempt_without_a_key(stub_broker: StubBroker, seen: list[Attempt]) -> None:
    @actor(idempotent=False)
    def charge() -> None:
        seen.append(current())

    message = charge.send()
    stub_broker.enqueue(message)
    drain()

    assert [(attempt.key, attempt.fence, attempt.maybe_ran) for attempt in seen] == [(None, 0, False)] * 2
    assert seen[0].downstream_key("capture") == seen[1].downstream_key("capture")


def test_an_attempt_holds_the_message_as_it_travels(stub_broker: StubBroker, seen: list[Attempt]) -> None:
    @actor
    def charge(day: date) -> None:
        seen.append(current())

    message = charge.send(date(2026, 1, 31))
    drain()

    assert seen[0].message.args == ("2026-01-31",)
    assert seen[0].message.message_timestamp == message.message_timestamp
