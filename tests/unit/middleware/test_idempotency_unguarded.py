"""Messages of actors with ``idempotent=False``: those that were delivered before are watched, and nothing else is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, NoReturn

import dramatiq
import pytest
from dramatiq.middleware import Middleware, SkipMessage

from actors import actor, assembly
from actors.testing import StubBroker, drain, enqueued
from middleware import current, guard
from middleware.failure import failure_of
from middleware.guard import WATCH_LEASE_MS
from middleware.guarded import SUSPECT
from middleware.keys import digest
from middleware.stores import Claim, MemoryStore, Record, Request, StoreUnavailable
from services.deadline import until
from tests.conformance.stores.subject import begin, claim, request

SCOPE = "charge (unguarded)"
WATCH_LEASE = timedelta(milliseconds=WATCH_LEASE_MS)
BACKOFF_MS = 60_000


@pytest.fixture
def redelivering(stub_broker: StubBroker, monkeypatch: pytest.MonkeyPatch) -> StubBroker:
    """A broker each message of which has been delivered before."""
    take = stub_broker.take

    def take_again(entry: Any) -> Any:
        delivery = take(entry)
        delivery.redelivered = True
        return delivery

    monkeypatch.setattr(stub_broker, "take", take_again)
    return stub_broker


def charging(work: Callable[[], object], **options: Any) -> Any:
    def charge() -> None:
        work()

    defaults = {"actor_name": "charge", "idempotent": False, "max_retries": 0, "min_backoff": BACKOFF_MS}
    return actor(**{**defaults, **options})(charge)


def watch(message: dramatiq.Message[Any], **options: Any) -> Request:
    """What a redelivered *message* asks for."""
    name = message.message_id
    return request(
        name, name, **{"scope": SCOPE, "digest": digest(SCOPE, name), "lost": 1, "lease_ms": 5_000, **options}
    )


def record(message: dramatiq.Message[Any]) -> Record | None:
    return assembly.store().inspect(digest(SCOPE, message.message_id))


def state(message: dramatiq.Message[Any]) -> str | None:
    found = record(message)
    return None if found is None else str(found.state)


def lose_a_worker(stub_broker: StubBroker, message: dramatiq.Message[Any], *, starts: bool = True) -> Claim:
    """Let a worker take *message*, which was delivered before, and be heard of no more."""
    lost = claim(assembly.store(), watch(message, max_losses=99))
    if starts:
        assert assembly.store().mark(lost)
    stub_broker.clock.advance(WATCH_LEASE)
    return lost


def fail() -> NoReturn:
    raise ConnectionError("busy")


def test_a_first_delivery_leaves_no_trace(stub_broker: StubBroker) -> None:
    told: list[tuple[bool, str | None]] = []
    message = charging(lambda: told.append((current().maybe_ran, current().key))).send()
    drain()

    assert (told, record(message)) == ([(False, None)], None)


def test_a_redelivered_message_may_have_run_and_leaves_its_record_free(redelivering: StubBroker) -> None:
    told: list[tuple[bool, str | None, str | None]] = []
    charge = charging(lambda: told.append((current().maybe_ran, current().key, state(message))))
    message = charge.send()
    drain()

    assert told == [(True, None, "running")]
    assert state(message) == "released"


def test_it_runs_as_often_as_it_comes(redelivering: StubBroker) -> None:
    ran: list[bool] = []
    message = charging(lambda: ran.append(True)).send()
    redelivering.enqueue(message)
    redelivering.enqueue(message)

    assert (drain().done, len(ran)) == (3, 3)


def test_its_start_is_marked_before_it(redelivering: StubBroker) -> None:
    losses: list[int] = []

    def die() -> None:
        # As if this worker were lost now.
        redelivering.clock.advance(WATCH_LEASE)
        losses.append(begin(assembly.store(), watch(message)).lost)

    message = charging(die).send()
    drain()

    assert losses == [2]


def test_its_lease_is_short_and_never_longer_than_its_actors(redelivering: StubBroker) -> None:
    leases: list[int] = []

    def look() -> None:
        of = current().message
        found = assembly.store().inspect(digest(f"{of.actor_name} (unguarded)", of.message_id))
        assert found is not None
        leases.append(found.until - assembly.store().now())

    for number, lease in enumerate((300_000, 2_000)):
        charging(look, lease=lease, actor_name=f"charge_{number}").send()
        drain()

    assert leases == [WATCH_LEASE_MS, 2_000]


@pytest.mark.parametrize(("max_losses", "recorded"), [(1, 1), (2, 1), (3, 2), (5, 4)])
def test_it_is_poison_after_so_many_workers_of_which_the_first_left_no_record(
    redelivering: StubBroker, max_losses: int, recorded: int
) -> None:
    ran: list[bool] = []
    charge = charging(lambda: ran.append(True), max_losses=max_losses)
    message = charge.message()
    for _ in range(recorded - 1):
        lose_a_worker(redelivering, message)
    redelivering.enqueue(message)
    assert (drain().done, len(ran)) == (1, 1)

    again = charge.message()
    for _ in range(recorded):
        lose_a_worker(redelivering, again)
    redelivering.enqueue(again)
    assert (drain(raises=False).dead, len(ran)) == (1, 1)

    (letter,) = redelivering.dead_letters
    assert failure_of(letter).reason == "poison"
    assert letter.options["traceback"] == f"poison: its workers were lost {recorded + 1} times"


def test_what_had_not_started_is_not_blamed(redelivering: StubBroker) -> None:
    ran: list[bool] = []
    message = charging(lambda: ran.append(True)).message()
    for _ in range(5):
        lose_a_worker(redelivering, message, starts=False)
    redelivering.enqueue(message)

    assert (drain().done, ran) == (1, [True])


class Skip(Middleware):
    def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        raise SkipMessage("not today")


@pytest.mark.parametrize(
    ("work", "options", "outcome"),
    [
        (lambda: None, {}, "done"),
        (fail, {}, "dead"),
        (fail, {"max_retries": 1}, "retried"),
        (fail, {"throws": ConnectionError}, "dead"),
        (lambda: None, {"max_age": 1}, "dead"),
    ],
)
def test_it_is_free_at_every_end(
    redelivering: StubBroker, work: Callable[[], object], options: dict[str, Any], outcome: str
) -> None:
    message = charging(work, **options).message()
    redelivering.enqueue(message.copy(message_timestamp=message.message_timestamp - 1_000))

    assert [attempt.outcome for attempt in drain(raises=False).attempts] == [outcome]
    assert state(message) == "released"
    assert assembly.store().list_open()[0] == []


def test_it_is_free_where_another_middleware_skips_it(
    redelivering: StubBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    redelivering.middleware.append(Skip())
    message = charging(lambda: None).send()

    assert drain(raises=False).skipped == 1
    assert state(message) == "released"


def test_its_losses_are_forgotten_once_it_has_come_to_an_end(redelivering: StubBroker) -> None:
    message = charging(lambda: None).message()
    for _ in range(4):
        lose_a_worker(redelivering, message)
        redelivering.enqueue(message)
        assert drain().done == 1


def test_one_that_another_worker_may_still_run_waits_and_is_watched_when_it_comes_again(
    stub_broker: StubBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a message that a worker has claimed which may be dead
    told: list[bool] = []
    message = charging(lambda: told.append(current().maybe_ran)).message()
    lost = claim(assembly.store(), watch(message))
    assert assembly.store().mark(lost)
    take = stub_broker.take

    def take_again(entry: Any) -> Any:
        delivery = take(entry)
        delivery.redelivered = SUSPECT not in delivery.options
        return delivery

    monkeypatch.setattr(stub_broker, "take", take_again)

    # When it is delivered again
    stub_broker.enqueue(message)
    assert drain().skipped == 1
    (waiting,) = enqueued()
    assert waiting.options[SUSPECT] is True
    assert waiting.delay <= WATCH_LEASE + timedelta(milliseconds=1)

    # Then it runs as soon as that worker's lease is over, and knows that it may have run
    assert drain(with_delays=True).done == 1
    assert (told, state(message)) == ([True], "released")


@pytest.mark.parametrize("suspect", [False, None, 1, "yes", [True]])
def test_what_another_producer_has_put_there_makes_nobody_suspect(stub_broker: StubBroker, suspect: object) -> None:
    charge = charging(lambda: None)
    message = charge.message().copy(options={SUSPECT: suspect})
    stub_broker.enqueue(message)

    assert (drain().done, record(message)) == (1, None)


def test_a_replay_is_guarded_by_its_id_and_runs_once(stub_broker: StubBroker) -> None:
    told: list[bool] = []
    charge = charging(lambda: told.append(current().maybe_ran))
    message = charge.message().copy(options={"replays": 1})
    for _ in range(3):
        stub_broker.enqueue(message)

    outcomes = [attempt.outcome for attempt in drain().attempts]

    assert (outcomes, told, state(message)) == (["done", "skipped", "skipped"], [False], "done")
    stub_broker.enqueue(message.copy(options={"replays": 2}))
    assert drain().skipped == 1


def test_a_replay_that_has_failed_again_may_be_replayed_again(stub_broker: StubBroker) -> None:
    ran: list[bool] = []

    def work() -> None:
        ran.append(True)
        fail()

    message = charging(work).message()
    for replays, runs in [(1, 1), (1, 1), (2, 2), (2, 2)]:
        stub_broker.enqueue(message.copy(options={"replays": replays}))
        assert drain(raises=False).dead == 1
        assert len(ran) == runs


class Silent(MemoryStore):
    """A store that does not answer."""

    is_silent = True
    asked = 0

    def exchange(self, *args: Any) -> Any:
        self.asked += 1
        if self.is_silent:
            raise StoreUnavailable("it is silent")
        return super().exchange(*args)


@pytest.fixture
def silent(stub_broker: StubBroker, monkeypatch: pytest.MonkeyPatch) -> Silent:
    monkeypatch.setattr(guard, "PROBE_EVERY_S", 0.01)
    silent = Silent()
    assembly.swap_store(silent)
    return silent


def test_it_runs_unwatched_while_the_store_is_silent(redelivering: StubBroker, silent: Silent) -> None:
    told: list[tuple[bool, str | None]] = []
    message = charging(lambda: told.append((current().maybe_ran, current().key))).send()
    assert redelivering.guard is not None
    before = redelivering.guard.counts["unprotected"]

    assert drain().done == 1
    assert told == [(False, None)]
    assert redelivering.guard.counts["unprotected"] == before + 1
    silent.is_silent = False
    assert record(message) is None


class Side:
    """A guarded actor, and a worker for it; the message ``first`` runs for as long as it is told to."""

    def __init__(self, stub_broker: StubBroker) -> None:
        self.broker = stub_broker
        self.go_on, self.began, self.ended = threading.Event(), list[str](), list[str]()

        def charge() -> None:
            name = current().message.message_id
            self.began.append(name)
            assert name != "first" or self.go_on.wait(20)
            self.ended.append(name)

        self.actor = actor(actor_name="charge")(charge)

    def send(self, name: str, *, losses: int) -> None:
        message = self.actor.message().copy(message_id=name)
        for _ in range(losses):
            lost = claim(assembly.store(), request(name, name, digest=digest("charge", name), lease_ms=5_000))
            assert not lost.needs_mark or assembly.store().mark(lost)
            self.broker.clock.advance(WATCH_LEASE)
        self.broker.enqueue(message)

    def state(self, name: str) -> str | None:
        found = assembly.store().inspect(digest("charge", name))
        return None if found is None else str(found.state)


@pytest.fixture
def side(stub_broker: StubBroker) -> Iterator[Side]:
    side = Side(stub_broker)
    worker = dramatiq.Worker(stub_broker, worker_timeout=10, worker_threads=4)
    worker.start()
    yield side
    side.go_on.set()
    worker.stop()


@pytest.mark.parametrize(("losses", "suspected"), [(2, 2), (2, 1), (1, 2)])
def test_what_one_loss_more_makes_poison_does_not_run_beside_another_that_has_cost_workers(
    side: Side, losses: int, suspected: int
) -> None:
    # Given a message at work that has cost workers
    side.send("first", losses=losses)
    until(lambda: side.began == ["first"], seconds=10, what="its start")

    # When others come, of which one has cost workers, too
    side.send("suspect", losses=suspected)
    until(lambda: enqueued(), seconds=10, what="the one that is put off")
    side.send("fresh", losses=0)
    until(lambda: "fresh" in side.ended, seconds=10, what="the other")

    # Then that one has not started, and does once the first has ended
    assert sorted(side.began) == ["first", "fresh"]
    assert side.state("suspect") == "waiting"
    side.go_on.set()
    until(lambda: side.state("first") == "done", seconds=10, what="the record of the first")
    side.broker.clock.advance(timedelta(seconds=1))
    until(lambda: side.state("suspect") == "done", seconds=10, what="the one that was put off")
    assert side.ended == ["fresh", "first", "suspect"]


def test_others_that_have_cost_workers_run_side_by_side(side: Side) -> None:
    side.send("first", losses=1)
    until(lambda: side.began == ["first"], seconds=10, what="its start")
    side.send("suspect", losses=1)
    until(lambda: side.state("suspect") == "done", seconds=10, what="the one beside it")

    assert (side.ended, enqueued()) == (["suspect"], [])
