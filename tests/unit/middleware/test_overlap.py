"""Runs of a schedule that overlap: by its policy a tick that finds one going on is skipped, or waits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import timedelta
from functools import partial
from typing import Any

import dramatiq
import pytest
from dramatiq.middleware import Middleware, SkipMessage

from actors import actor, assembly
from actors.errors import StubError
from actors.testing import StubBroker, drain, enqueued
from middleware import Retries, TickRun, TickRuns, guard, overlap
from middleware.keys import digest
from middleware.results import ResultNotStored
from middleware.stores import Claim, Ending, MemoryStore, Store, StoreUnavailable
from services.deadline import until
from tests.conformance.stores.subject import claim, finish

LEASE = timedelta(seconds=30)
LEASE_MS = 30_000
LOOK_AGAIN = timedelta(milliseconds=guard.LOOK_AGAIN_MS)
SLOT, LINE = digest("overlap:slot", "nightly"), digest("overlap:line", "nightly")
POLICIES = ["skip", "queue_one"]
BACKOFF_MS = 60_000


class Schedule:
    """The schedule ``nightly`` of an actor, whose ticks have numbers.

    Attributes:
        policy: its ``overlap``.
        meanwhile: what happens in other workers while the next run goes on.
        failing: how many attempts are still to fail.
        ran: the numbers of the ticks that have run, in order.
        records: what was recorded of them.
    """

    def __init__(self, stub_broker: StubBroker) -> None:
        self.broker = stub_broker
        self.policy = "skip"
        self.meanwhile: list[Callable[[], None]] = []
        self.failing = 0
        self.ran: list[int] = []
        self.records: list[TickRun] = []

    def declare(self, **options: Any) -> None:
        """Declare its actor, in place of the one before."""
        self.broker.actors.pop("job", None)
        actor(**{"actor_name": "job", "lease": LEASE, "min_backoff": BACKOFF_MS, "jitter": False, **options})(self.work)

    def work(self, number: int) -> None:
        for happens in [self.meanwhile.pop(0)] if self.meanwhile else []:
            elsewhere(happens)
        if self.failing:
            self.failing -= 1
            raise ValueError("no luck")
        self.ran.append(number)

    def tick(self, number: int, *, schedule: str = "nightly", **options: Any) -> dramatiq.Message[Any]:
        """Enqueue a tick."""
        about = {"schedule": schedule, "time": f"2030-01-01T09:00:{number:02}+00:00", "overlap": self.policy}
        message: dramatiq.Message[Any] = self.broker.get_actor("job").message(number)
        message = message.copy(message_id=f"m{number}", options={**message.options, "tick": about, **options})
        self.broker.enqueue(message)
        return message

    def come(self, *numbers: int) -> None:
        """Let ticks come, and a worker take them."""
        for number in numbers:
            self.tick(number)
        work_off()

    def ends(self) -> list[tuple[str, str]]:
        return [(record.message_id, record.outcome) for record in self.records]


def elsewhere(happens: Callable[[], None]) -> None:
    """Let *happens* happen in a thread of another worker."""
    thread = threading.Thread(target=happens)
    thread.start()
    thread.join()


def work_off(*, with_delays: bool = False) -> None:
    drain(with_delays=with_delays, raises=False)


@pytest.fixture
def nightly(stub_broker: StubBroker, monkeypatch: pytest.MonkeyPatch) -> Schedule:
    schedule = Schedule(stub_broker)
    [runs] = [each for each in stub_broker.middleware if isinstance(each, TickRuns)]
    monkeypatch.setattr(runs, "_record", lambda _, __, record: schedule.records.append(TickRun.decode(record)))
    schedule.declare()
    return schedule


def held_by(owner: str, *, what: str = SLOT, lease_ms: int = LEASE_MS) -> Claim:
    """Let a worker of which no more is heard take the slot, or the place in line, for message *owner*."""
    return claim(assembly.store(), key=owner, owner=owner, digest=what, lease_ms=lease_ms, ttl_ms=lease_ms)


def free(held: Claim) -> None:
    assert finish(assembly.store(), held, Ending.FORGOTTEN)


def state(name: str = SLOT) -> str:
    record = assembly.store().inspect(name)
    return "none" if record is None else record.state


def test_a_tick_is_skipped_and_recorded_while_another_run_goes_on(
    nightly: Schedule, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="middleware")
    nightly.meanwhile = [partial(nightly.come, 2)]
    nightly.come(1)

    assert (nightly.ran, enqueued()) == ([1], [])
    assert nightly.ends() == [("m2", "skipped"), ("m1", "done")]
    assert nightly.records[0].error == "overlap=skip: the run of message m1 goes on"
    assert (
        "skipped: message m2 of overlap:nightly, key 'm2': overlap=skip: the run of message m1 goes on" in caplog.text
    )


@pytest.mark.parametrize("policy", POLICIES)
def test_one_tick_after_the_other_runs(nightly: Schedule, policy: str) -> None:
    nightly.policy = policy
    for number in (1, 2, 3):
        nightly.tick(number)
    work_off()

    assert nightly.ran == [1, 2, 3]
    assert (state(), state(LINE)) == ("released", "none")


def test_a_copy_of_a_skipped_tick_does_not_run_later_and_is_no_success(
    nightly: Schedule, stub_broker: StubBroker
) -> None:
    told: list[Any] = []
    actor(actor_name="hear")(lambda message, result: told.append(result))
    held = held_by("m1")
    message = nightly.tick(2, on_success="hear")
    work_off()
    free(held)
    stub_broker.enqueue(message)
    work_off()

    assert (nightly.ran, told, nightly.ends()) == ([], [], [("m2", "skipped")])
    assert state(digest("job", "m2")) == "done"
    with pytest.raises(ResultNotStored, match="it was skipped: overlap=skip: the run of message m1 goes on"):
        message.get_result()


@pytest.mark.parametrize("policy", ["allow", "other", None, [], {}])
def test_where_it_says_nothing_else_a_tick_runs_beside_others(nightly: Schedule, policy: Any) -> None:
    held_by("m1")
    nightly.policy = policy
    nightly.come(2)
    assert nightly.ran == [2]


def test_a_run_of_another_schedule_is_no_overlap(nightly: Schedule) -> None:
    held_by("m1")
    nightly.tick(2, schedule="weekly")
    work_off()
    assert nightly.ran == [2]


def test_the_first_tick_waits_for_the_end_of_the_run_and_those_beyond_it_are_skipped(
    nightly: Schedule, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="middleware")
    nightly.policy = "queue_one"

    def tick_again() -> None:
        nightly.come(2, 3)
        assert [each.delay for each in enqueued()] == [LOOK_AGAIN]

    nightly.meanwhile = [tick_again]
    nightly.come(1)
    assert (nightly.ran, nightly.ends()) == ([1], [("m3", "skipped"), ("m1", "done")])
    assert nightly.records[0].error == "overlap=queue_one: message m2 waits already"
    assert "later: message m2 of overlap:nightly, key 'm2': the run of message m1 goes on" in caplog.text

    work_off(with_delays=True)
    assert (nightly.ran, nightly.ends()[2:]) == ([1, 2], [("m2", "done")])
    assert (state(), state(LINE)) == ("released", "released")


def test_it_waits_for_as_long_as_the_run_takes_and_keeps_its_place(nightly: Schedule, stub_broker: StubBroker) -> None:
    nightly.policy = "queue_one"
    held = held_by("m1", lease_ms=LEASE_MS * 10)
    nightly.tick(2)
    for number in range(3, 33):
        work_off()
        stub_broker.clock.advance(LOOK_AGAIN)
        nightly.tick(number)
    work_off()
    assert {end for end in nightly.ends() if end[1] == "skipped"} == {
        (f"m{number}", "skipped") for number in range(3, 33)
    }

    free(held)
    work_off(with_delays=True)
    assert nightly.ran == [2]


def test_no_later_tick_overtakes_the_one_that_waits(nightly: Schedule) -> None:
    nightly.policy = "queue_one"
    held = held_by("m1")
    nightly.come(2)
    free(held)
    nightly.come(3)
    assert (nightly.ran, nightly.ends()) == ([], [("m3", "skipped")])

    work_off(with_delays=True)
    nightly.come(4)
    assert nightly.ran == [2, 4]


def test_a_waiting_tick_that_never_comes_again_holds_up_no_other_for_long(
    nightly: Schedule, stub_broker: StubBroker
) -> None:
    nightly.policy = "queue_one"
    held = held_by("m1")
    nightly.come(2)
    stub_broker.flush("default")
    free(held)

    stub_broker.clock.advance(timedelta(milliseconds=overlap.LINE_MS))
    nightly.come(3)
    assert nightly.ran == [3]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_run_that_waits_for_its_retry_goes_on(nightly: Schedule, stub_broker: StubBroker, policy: str) -> None:
    nightly.policy = policy
    nightly.failing = 1
    nightly.come(1)
    for number in range(2, 6):
        stub_broker.clock.advance(timedelta(milliseconds=BACKOFF_MS / 4 - 1))
        nightly.come(number)
    assert nightly.ran == []

    work_off(with_delays=True)
    expected = {"skip": ([1], 4), "queue_one": ([1, 2], 3)}
    assert (nightly.ran, len([end for end in nightly.ends() if end[1] == "skipped"])) == expected[policy]


def test_a_retry_that_has_lost_its_slot_waits_for_it_before_any_other_tick(
    nightly: Schedule, stub_broker: StubBroker
) -> None:
    # Given a retry that is late by more than a lease, and a run that has begun meanwhile
    nightly.failing = 1
    nightly.come(1)
    stub_broker.clock.advance(timedelta(milliseconds=BACKOFF_MS) + LEASE)
    held = held_by("m2")

    work_off()
    free(held)
    nightly.come(3)
    assert (nightly.ran, nightly.ends()) == ([], [("m3", "skipped")])
    work_off(with_delays=True)
    assert (nightly.ran, nightly.ends()[1:]) == ([1], [("m1", "done")])


def test_a_retry_waits_for_its_slot_even_if_another_waits_already(nightly: Schedule, stub_broker: StubBroker) -> None:
    nightly.failing = 1
    nightly.come(1)
    stub_broker.clock.advance(timedelta(milliseconds=BACKOFF_MS) + LEASE)
    held = held_by("m2")
    held_by("m3", what=LINE, lease_ms=overlap.LINE_MS)

    work_off()
    assert [each.delay for each in enqueued()] == [LOOK_AGAIN]
    free(held)
    work_off(with_delays=True)
    assert nightly.ran == [1]


def test_a_failed_run_is_over_when_it_is_given_up(nightly: Schedule, stub_broker: StubBroker) -> None:
    nightly.declare(max_retries=0)
    nightly.failing = 1
    nightly.come(1)
    nightly.come(2)
    assert nightly.ends() == [("m1", "failed"), ("m2", "done")]


def test_a_dead_letter_that_is_replayed_is_not_skipped(nightly: Schedule, stub_broker: StubBroker) -> None:
    held = held_by("m1")
    nightly.tick(2, replays=1)
    work_off()
    assert len(enqueued()) == 1
    free(held)
    work_off(with_delays=True)
    assert nightly.ran == [2]


def test_what_has_begun_leaves_the_place_in_line_to_whoever_has_it(nightly: Schedule) -> None:
    nightly.policy = "queue_one"
    held = held_by("m1")
    nightly.come(2)
    free(held)
    nightly.tick(3, replays=1)
    work_off()
    nightly.come(4)
    assert (nightly.ran, nightly.ends()[1:]) == ([3], [("m4", "skipped")])


@pytest.mark.parametrize("policy", POLICIES)
def test_a_killed_worker_frees_the_slot_after_one_lease(
    nightly: Schedule, stub_broker: StubBroker, policy: str
) -> None:
    nightly.policy = policy
    held_by("m1")
    stub_broker.clock.advance(LEASE - timedelta(milliseconds=1))
    nightly.come(2)
    assert nightly.ran == []

    stub_broker.clock.advance(timedelta(milliseconds=1))
    nightly.policy = "skip"
    nightly.tick(3)
    work_off(with_delays=True)
    assert nightly.ran == [2 if policy == "queue_one" else 3]


def test_the_copy_of_a_killed_run_resumes_its_own_slot(nightly: Schedule, stub_broker: StubBroker) -> None:
    claim(assembly.store(), key="m1", owner="m1", digest=digest("job", "m1"), lease_ms=LEASE_MS)
    stub_broker.clock.advance(LEASE - timedelta(seconds=3))
    # Renewed a last time after the key was.
    held_by("m1")
    stub_broker.clock.advance(timedelta(seconds=3))
    nightly.come(1)
    assert [each.delay for each in enqueued()] == [LEASE - timedelta(seconds=3) + timedelta(milliseconds=1)]

    nightly.tick(2)
    work_off(with_delays=True)
    assert (nightly.ran, nightly.ends()) == ([1], [("m2", "skipped"), ("m1", "done")])


def test_the_copy_of_a_killed_run_waits_for_the_one_that_has_taken_its_slot(
    nightly: Schedule, stub_broker: StubBroker
) -> None:
    claim(assembly.store(), key="m1", owner="m1", digest=digest("job", "m1"), lease_ms=LEASE_MS)
    stub_broker.clock.advance(LEASE)
    held = held_by("m2")
    nightly.come(1)
    assert (len(enqueued()), nightly.ends()) == (1, [])
    stub_broker.clock.advance(LOOK_AGAIN)
    work_off()
    assert (len(enqueued()), nightly.ends()) == (1, [])
    free(held)
    work_off(with_delays=True)
    assert nightly.ran == [1]


def test_a_run_that_costs_one_worker_after_the_other_is_poison_by_its_key_alone(
    nightly: Schedule, stub_broker: StubBroker
) -> None:
    for _ in range(10):
        held_by("m1")
        stub_broker.clock.advance(LEASE)
    nightly.come(1)
    assert nightly.ran == [1]


def test_the_lease_is_renewed_while_the_run_goes_on(nightly: Schedule, stub_broker: StubBroker) -> None:
    guarding = stub_broker.guard
    assert guarding is not None

    def outlive() -> None:
        for number in range(2, 5):
            stub_broker.clock.advance(LEASE * 0.9)
            guarding.leases.renew()
            nightly.come(number)

    nightly.meanwhile = [outlive]
    nightly.come(1)
    assert (nightly.ran, len(nightly.ends())) == ([1], 4)
    # And no more when it is over.
    guarding.leases.renew()
    assert state() == "released"


class Skipping(Middleware):
    """Skips a message behind all other middleware, or gives it back."""

    requeues = False

    def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        if self.requeues:
            message.requeue = True  # type: ignore[attr-defined]
        raise SkipMessage("enough")


@pytest.mark.parametrize(("requeues", "left"), [(False, "released"), (True, "waiting")])
def test_what_another_middleware_skips_leaves_the_slot_and_what_comes_again_keeps_it(
    nightly: Schedule, stub_broker: StubBroker, requeues: bool, left: str
) -> None:
    skipping = Skipping()
    skipping.requeues = requeues
    stub_broker.add_middleware(skipping)
    nightly.tick(1)
    with pytest.raises(StubError) if requeues else nullcontext():
        drain(raises=False, limit=1)
    assert (state(), nightly.ran) == (left, [])


class Confusing(Middleware):
    """Says nonsense of the attempts that have failed."""

    def after_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy, **_: Any) -> None:
        message.options["attempts"] = [{"delay": "soon"}]


def test_a_failed_attempt_is_over_whatever_is_said_of_it(nightly: Schedule, stub_broker: StubBroker) -> None:
    stub_broker.add_middleware(Confusing(), before=Retries)
    nightly.failing = 1
    nightly.come(1)
    assert state() == "waiting"


@pytest.mark.parametrize("policy", POLICIES)
def test_an_actor_without_keys_has_a_slot(nightly: Schedule, policy: str) -> None:
    nightly.declare(idempotent=False)
    nightly.policy = policy
    nightly.meanwhile = [partial(nightly.come, 2, 3)]
    nightly.failing = 1
    nightly.come(1)
    assert nightly.ran == []
    work_off(with_delays=True)
    assert nightly.ran == {"skip": [1], "queue_one": [1, 2]}[policy]


def test_a_message_that_lets_another_suspect_end_is_not_recorded_as_skipped(
    nightly: Schedule, stub_broker: StubBroker
) -> None:
    # Given two that have cost workers, of which the first is at its last chance and runs
    for number, losses in ((1, 2), (2, 1)):
        for _ in range(losses):
            own = digest("job", f"m{number}")
            held = claim(assembly.store(), key=f"m{number}", owner=f"m{number}", digest=own, lease_ms=LEASE_MS)
            assert not held.needs_mark or assembly.store().mark(held)
            stub_broker.clock.advance(LEASE)
    nightly.policy = "allow"
    nightly.meanwhile = [partial(nightly.come, 2)]
    nightly.come(1)
    assert (nightly.ran, nightly.ends()) == ([1], [("m1", "done")])
    work_off(with_delays=True)
    assert nightly.ran == [1, 2]


class Silent(MemoryStore):
    """A store that knows nothing of schedules while it is silent."""

    is_silent = True
    asked = 0

    def inspect(self, digest: str) -> Any:
        if digest == LINE:
            self.asked += 1
            if self.is_silent:
                raise StoreUnavailable("it is silent")
        return super().inspect(digest)


@pytest.fixture
def silent(nightly: Schedule, monkeypatch: pytest.MonkeyPatch) -> Iterator[Silent]:
    monkeypatch.setattr(guard, "PROBE_EVERY_S", 0.01)
    store = Silent()
    assembly.swap_store(store)
    yield store
    store.is_silent = False


@pytest.fixture
def worker(stub_broker: StubBroker, silent: Silent) -> Iterator[dramatiq.Worker]:
    worker = dramatiq.Worker(stub_broker, worker_timeout=10, worker_threads=2)
    worker.start()
    yield worker
    silent.is_silent = False
    if any(thread.is_alive() for thread in worker.workers):
        worker.stop()


@pytest.mark.parametrize("idempotent", [True, False])
def test_a_tick_waits_for_a_store_that_does_not_answer(
    nightly: Schedule, stub_broker: StubBroker, silent: Silent, worker: dramatiq.Worker, idempotent: bool
) -> None:
    nightly.declare(idempotent=idempotent)
    nightly.tick(1)
    until(lambda: silent.asked > 3, seconds=10, what="questions to the silent store")
    assert nightly.ran == []
    silent.is_silent = False
    stub_broker.join("default", timeout=10_000)
    assert nightly.ran == [1]


def test_a_worker_that_stops_gives_back_what_waits_for_the_store(
    nightly: Schedule, silent: Silent, worker: dramatiq.Worker
) -> None:
    nightly.tick(1)
    until(lambda: silent.asked > 3, seconds=10, what="questions to the silent store")
    worker.stop()
    assert ([each.message_id for each in enqueued()], nightly.ran, nightly.ends()) == (["m1"], [], [])


def test_an_actor_that_runs_without_protection_in_an_outage_runs_without_its_slot(
    nightly: Schedule, silent: Silent
) -> None:
    nightly.declare(on_outage="run")
    nightly.come(1)
    assert nightly.ran == [1]


class Deaf(MemoryStore):
    """A store that can't be told that a run has ended."""

    def exchange(self, outcomes: Any, requests: Any) -> Any:
        if any(outcome.claim.request.digest == SLOT for outcome in outcomes):
            raise StoreUnavailable("it is silent")
        return super().exchange(outcomes, requests)


def test_a_run_whose_end_can_not_be_told_is_done_and_over_a_lease_later(
    nightly: Schedule, stub_broker: StubBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overlap, "TELL_FOR_S", 0.0)
    assembly.swap_store(Deaf(lambda: int(stub_broker.clock.now().timestamp() * 1000)))
    nightly.come(1)
    nightly.come(2)
    stub_broker.clock.advance(LEASE)
    nightly.come(3)
    assert nightly.ends() == [("m1", "done"), ("m2", "skipped"), ("m3", "done")]


class Broken(MemoryStore):
    """A store that answers with an error of its own."""

    def inspect(self, digest: str) -> Any:
        if digest == LINE:
            raise RuntimeError("out of its mind")
        return super().inspect(digest)


def test_a_store_that_fails_otherwise_fails_the_attempt_and_runs_nothing_unguarded(nightly: Schedule) -> None:
    store: Store = Broken()
    assembly.swap_store(store)
    nightly.come(1)
    assert (nightly.ran, len(enqueued())) == ([], 1)
