"""The middleware whole by itself, on Dramatiq's own broker and worker: its hooks make the calls."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import dramatiq
import pytest
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import AgeLimit, Middleware, Pipelines, Retries, SkipMessage

from middleware import Callbacks, GroupCallbacks, Idempotency, current, guard
from middleware.keys import InvalidKey, digest
from middleware.stores import Claim, Ending, MemoryStore, Record, StoreUnavailable
from services.deadline import until
from tests.conformance.stores.subject import claim, finish

LEASE_MS = 1_000


class Store(MemoryStore):
    """A store that may be silent."""

    is_silent = False
    asked = 0

    def exchange(self, *args: Any) -> Any:
        self.asked += 1
        if self.is_silent:
            raise StoreUnavailable("it is silent")
        return super().exchange(*args)


class Application:
    """Dramatiq's stub broker, with a worker for actor ``charge``."""

    def __init__(self) -> None:
        self.store = Store()
        self.idempotency = Idempotency(store=lambda: self.store)
        self.broker = StubBroker(
            middleware=[
                self.idempotency,
                AgeLimit(),
                Callbacks(),
                Pipelines(),
                GroupCallbacks(store=lambda: self.store),
                Retries(max_retries=3, min_backoff=1, max_backoff=2),
            ]
        )
        self.worker = dramatiq.Worker(self.broker, worker_timeout=10, worker_threads=4)

    @property
    def counts(self) -> Counter[str]:
        return self.idempotency.counts

    def declare(self, fn: Callable[..., Any], *, lease: int = LEASE_MS, **options: Any) -> dramatiq.Actor[..., Any]:
        return dramatiq.actor(broker=self.broker, actor_name="charge", lease=lease, **options)(fn)

    def join(self, *, fail_fast: bool = True) -> None:
        self.broker.join("default", timeout=10_000, fail_fast=fail_fast)

    def record(self, key: str) -> Record:
        found = self.store.inspect(digest("charge", key))
        assert found is not None
        return found

    def held(self, key: str, owner: str = "another", lease_ms: int = 30_000) -> Claim:
        """The claim of message *owner*, of which nobody hears any more."""
        return claim(self.store, key=key, digest=digest("charge", key), owner=owner, lease_ms=lease_ms)


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Iterator[Application]:
    monkeypatch.setattr(guard, "PROBE_EVERY_S", 0.01)
    app = Application()
    app.worker.start()
    yield app
    app.store.is_silent = False
    if any(thread.is_alive() for thread in app.worker.workers):
        app.worker.stop()


def test_the_same_message_twice_runs_once(app: Application) -> None:
    ran: list[int] = []
    message = app.declare(ran.append).send(1)
    app.broker.enqueue(message)
    app.join()

    assert (ran, app.counts["duplicate"] + app.counts["later"]) == ([1], 1)


def test_a_copy_that_comes_while_its_message_runs_waits_and_is_a_duplicate(app: Application) -> None:
    go_on, ran = threading.Event(), list[int]()

    def job(number: int) -> None:
        ran.append(number)
        assert go_on.wait(10)

    message = app.declare(job).send(1)
    until(lambda: ran == [1], seconds=10, what="the start of the job")
    app.broker.enqueue(message)
    until(lambda: app.counts["later"], seconds=10, what="the copy that waits")
    go_on.set()
    app.join()

    assert ran == [1]
    assert app.counts["duplicate"] == 1


def test_a_lease_is_renewed_for_as_long_as_its_job_runs(app: Application) -> None:
    go_on, fences = threading.Event(), list[int]()

    def job() -> None:
        fences.append(current().fence)
        assert go_on.wait(10)

    message = app.declare(job, lease=150).send()
    until(lambda: fences, seconds=10, what="the start of the job")
    first = app.record(message.message_id).until
    until(lambda: app.record(message.message_id).until > first + 450, seconds=10, what="renewals")
    go_on.set()
    app.join()

    assert [app.record(message.message_id).fence] == fences
    assert app.record(message.message_id).state == "done"


def test_an_attempt_that_fails_is_retried_and_then_fails_for_good(app: Application) -> None:
    numbers: list[int] = []

    def job() -> None:
        numbers.append(current().number)
        raise ConnectionError("busy")

    message = app.declare(job).send()
    app.join(fail_fast=False)

    assert numbers == [1, 2, 3, 4]
    record = app.record(message.message_id)
    assert (record.state, record.retries) == ("failed", 4)
    assert [letter.message_id for letter in app.broker.dead_letters] == [message.message_id]


@pytest.mark.parametrize(("on_duplicate", "ran_then", "dead"), [("skip", [], 0), ("wait", [1], 0), ("error", [], 1)])
def test_a_key_that_another_message_holds(app: Application, on_duplicate: str, ran_then: list[int], dead: int) -> None:
    ran: list[int] = []
    charge = app.declare(lambda number: ran.append(number), idempotency_key="{number}", on_duplicate=on_duplicate)
    holder = app.held("1")
    charge.send(1)
    until(lambda: sum(app.counts.values()), seconds=10, what="the verdict")
    finish(app.store, holder, Ending.FAILED)
    app.join(fail_fast=False)

    assert (ran, len(app.broker.dead_letters)) == (ran_then, dead)


def test_a_conflict_is_dead_with_its_reason(app: Application) -> None:
    ran: list[int] = []
    charge = app.declare(ran.append)
    first = charge.send_with_options(args=(1,), idempotency_key="order")
    app.join()
    charge.send_with_options(args=(2,), idempotency_key="order")
    app.join(fail_fast=False)

    assert ran == [1]
    (letter,) = app.broker.dead_letters
    assert letter.options["traceback"] == (
        f"idempotency key 'order': conflict: message {first.message_id} has used it with other arguments"
    )


def test_a_message_of_a_lost_worker_runs_when_its_lease_is_over(app: Application) -> None:
    maybe_ran: list[bool] = []
    message = app.declare(lambda: maybe_ran.append(current().maybe_ran)).message()
    app.held(message.message_id, message.message_id, lease_ms=200)
    app.broker.enqueue(message)
    app.join()

    assert maybe_ran == [True]


def test_the_outcome_of_an_attempt_whose_key_was_taken_over_does_not_count(app: Application) -> None:
    def job() -> None:
        app.store.release(digest("charge", "order"), force=True)
        app.held("order")

    app.declare(job, idempotency_key="order").send()
    app.join()
    until(lambda: app.counts["stale"], seconds=10, what="the outcome")

    assert (app.record("order").state, app.record("order").owner) == ("running", "another")


def test_nothing_runs_while_the_store_is_silent_and_nothing_is_lost(app: Application) -> None:
    ran: list[int] = []
    app.store.is_silent = True
    charge = app.declare(ran.append)
    for number in range(6):
        charge.send(number)
    until(lambda: app.store.asked > 10, seconds=10, what="questions to the silent store")
    assert ran == []

    app.store.is_silent = False
    app.join()
    assert sorted(ran) == list(range(6))


def test_a_message_may_run_while_the_store_is_silent(app: Application) -> None:
    ran: list[int] = []
    app.store.is_silent = True
    app.declare(ran.append, on_outage="run").send(1)
    app.join()

    assert (ran, app.counts) == ([1], {"unprotected": 1})


class Listener(Middleware):
    def __init__(self) -> None:
        self.enqueued: list[tuple[str, int | None]] = []

    def after_enqueue(self, broker: dramatiq.Broker, message: dramatiq.Message[Any], delay: int | None) -> None:
        self.enqueued.append((message.message_id, delay))


def test_a_worker_that_stops_while_the_store_is_silent_lets_its_messages_be_tried_later(app: Application) -> None:
    ran: list[int] = []
    listener = Listener()
    app.broker.add_middleware(listener)
    app.store.is_silent = True
    message = app.declare(ran.append).send(1)
    until(lambda: app.store.asked > 1, seconds=10, what="questions to the silent store")

    app.worker.stop()

    assert (ran, app.broker.dead_letters) == ([], [])
    assert (message.message_id, 1_000) in listener.enqueued


def test_an_outcome_waits_for_the_store_while_its_lease_is_good(app: Application) -> None:
    asked: list[int] = []

    def job() -> None:
        app.store.is_silent = True
        asked.append(app.store.asked)

    message = app.declare(job, lease=30_000).send()
    until(lambda: asked and app.store.asked > asked[0] + 2, seconds=10, what="attempts to record the outcome")
    app.store.is_silent = False
    app.join()

    assert app.record(message.message_id).state == "done"


def test_an_outcome_is_given_up_when_its_lease_is_over(app: Application) -> None:
    def job() -> None:
        app.store.is_silent = True

    app.declare(job, lease=300).send()
    app.join()

    assert app.counts == {"unrecorded": 1}


class Skip(Middleware):
    def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        raise SkipMessage("not today")


def test_the_key_of_a_message_that_another_middleware_skips_is_free_again(app: Application) -> None:
    app.broker.add_middleware(Skip())
    message = app.declare(lambda: None).send()
    app.join()

    assert app.record(message.message_id).state == "released"


def test_a_message_that_is_too_old_has_failed(app: Application) -> None:
    message = app.declare(lambda: None, max_age=1).message()
    app.broker.enqueue(message.copy(message_timestamp=message.message_timestamp - 1_000))
    app.join(fail_fast=False)

    assert app.record(message.message_id).state == "failed"


def test_a_key_that_can_not_be_made_is_the_senders_error(app: Application) -> None:
    def job(number: Any) -> None: ...

    charge = app.declare(job, idempotency_key="{number.real}")

    with pytest.raises(InvalidKey):
        charge.send("no number")
    assert app.broker.queues["default"].empty()


def test_a_delayed_message_keeps_its_key_and_is_claimed_when_it_is_due(app: Application) -> None:
    ran: list[int] = []
    charge = app.declare(lambda number: ran.append(number), idempotency_key="{number}")
    charge.send_with_options(args=(1,), delay=50)
    charge.send_with_options(args=(1,), delay=50)
    app.join()

    assert ran == [1]
    assert app.record("1").state == "done"


def test_a_duplicate_lets_its_group_and_its_pipeline_go_on(app: Application) -> None:
    ran: list[int] = []
    shipped: list[Any] = []

    def pack(number: int) -> str:
        ran.append(number)
        return f"box {number}"

    charge = app.declare(pack, idempotency_key="{number}")
    ship: dramatiq.Actor[..., Any] = dramatiq.actor(broker=app.broker, actor_name="ship")(shipped.append)
    charge.send(1)
    app.join()
    dramatiq.pipeline([charge.message(1), ship.message()], broker=app.broker).run()
    group = dramatiq.group([charge.message(1), charge.message(2)], broker=app.broker)
    group.add_completion_callback(ship.message("all"))
    group.run()
    until(lambda: len(shipped) == 2, seconds=10, what="what follows")
    app.join()

    assert sorted(ran) == [1, 2]
    assert sorted(shipped) == ["all", "box 1"]
