"""Actors of which no more attempts run at once than they say, and what becomes of the others."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import dramatiq
import pytest

from actors import actor, assembly
from actors.errors import DeclarationError
from actors.testing import StubBroker, drain, enqueued
from middleware import AttemptLog, Attempts, Idempotency, guard
from middleware.keys import digest
from middleware.leases import Leases
from middleware.stores import MemoryStore, SeatAnswer, SeatRequest, StoreUnavailable
from middleware.stores.seats import head_of, look_again_ms, may_sit, pace_after
from services.deadline import until

LEASE_MS = 30_000


class Silent(MemoryStore):
    """A store that does not answer as many calls as ``silent`` says."""

    def __init__(self) -> None:
        super().__init__()
        self.silent = 0

    def sit(self, request: SeatRequest) -> SeatAnswer:
        self._answer()
        return super().sit(request)

    def leave_seat(self, seat: SeatRequest, held_ms: int | None) -> None:
        self._answer()
        super().leave_seat(seat, held_ms)

    def _answer(self) -> None:
        if self.silent:
            self.silent -= 1
            raise StoreUnavailable("it is silent")


def attempt_log(stub_broker: StubBroker) -> AttemptLog:
    [attempts] = [each for each in stub_broker.middleware if isinstance(each, Attempts)]
    [log] = [each for each in attempts.listeners if isinstance(each, AttemptLog)]
    return log


@pytest.fixture
def store(stub_broker: StubBroker, monkeypatch: pytest.MonkeyPatch) -> Silent:
    monkeypatch.setattr(guard, "PROBE_EVERY_S", 0.01)
    monkeypatch.setattr(attempt_log(stub_broker), "counts", Counter())
    # A worker of an earlier test may have stopped, and nobody waits for a store in a process that stops.
    [idempotency] = [each for each in stub_broker.middleware if isinstance(each, Idempotency)]
    idempotency.guard._stopping.clear()
    store = Silent()
    assembly.swap_store(store)
    return store


@pytest.fixture
def ran(store: Silent) -> list[int]:
    return []


def declare(fn: Callable[..., Any], **options: Any) -> Any:
    dramatiq.get_broker().actors.pop("job", None)
    return actor(**{"actor_name": "job", "max_concurrency": 1, "min_backoff": 1_000, **options})(fn)


def taken(name: str = "job", *, of: str = "actor", limit: int = 1, token: str = "elsewhere") -> SeatRequest:
    """Let another worker take a seat."""
    seat = SeatRequest(digest(f"concurrency:{of}", name), "other", token, limit, LEASE_MS)
    assert assembly.store().sit(seat).is_taken
    return seat


def is_free(name: str = "job", *, of: str = "actor") -> bool:
    return assembly.store().sit(SeatRequest(digest(f"concurrency:{of}", name), "probe", "probe", 1, 1)).is_taken


def outcomes() -> list[str]:
    return [attempt.outcome for attempt in drain(raises=False).attempts]


def test_a_message_that_finds_a_seat_runs_and_leaves_it(ran: list[int]) -> None:
    declare(ran.append).send(1)
    assert outcomes() == ["done"]
    assert (ran, is_free()) == ([1], True)


def test_a_message_that_finds_none_waits_without_an_attempt_and_runs_later(ran: list[int]) -> None:
    seat = taken()
    declare(ran.append).send(1)
    assert outcomes() == ["skipped"]
    [waiting] = enqueued()
    assert (ran, waiting.delay, waiting.options.get("retries")) == ([], timedelta(milliseconds=100), None)
    assembly.store().leave_seat(seat, 50)
    assert drain(with_delays=True).done == 1
    assert ran == [1]


def test_an_attempt_that_waits_for_its_seat_is_later_in_the_log(stub_broker: StubBroker, ran: list[int]) -> None:
    taken()
    declare(ran.append).send(1)
    drain()
    assert attempt_log(stub_broker).counts == {"later": 1}


def test_a_failed_attempt_leaves_its_seat(store: Silent) -> None:
    def fail(number: int) -> None:
        raise ValueError("no luck")

    declare(fail).send(1)
    assert outcomes() == ["retried"]
    assert is_free()


@pytest.mark.parametrize("idempotent", [True, False])
def test_it_holds_for_actors_with_and_without_keys(ran: list[int], idempotent: bool) -> None:
    taken()
    declare(ran.append, idempotent=idempotent).send(1)
    assert outcomes() == ["skipped"]
    assert len(enqueued()) == 1


def test_a_key_of_the_arguments_limits_each_value(ran: list[int]) -> None:
    taken("customer:7", of="key")

    def work(customer_id: int) -> None:
        ran.append(customer_id)

    limited = declare(work, concurrency_key="customer:{customer_id}")
    for customer_id in (7, 8):
        limited.send(customer_id)
    assert outcomes() == ["skipped", "done"]
    assert ran == [8]


def test_actors_with_the_same_key_share_its_seats(ran: list[int]) -> None:
    taken("gpu", of="key")
    for name in ("train", "infer"):
        actor(actor_name=name, max_concurrency=1, concurrency_key="gpu")(ran.append).send(1)
    assert outcomes() == ["skipped", "skipped"]
    assert ran == []


def test_arguments_that_give_no_key_are_a_dead_letter(ran: list[int]) -> None:
    def work(customer_id: str) -> None: ...

    declare(work, concurrency_key=lambda customer_id: customer_id).send("")
    [attempt] = drain(raises=False).attempts
    assert (attempt.outcome, attempt.message.options.get("retries")) == ("dead", None)


def test_a_seat_is_renewed_while_its_attempt_runs_and_not_afterwards(store: Silent, stub_broker: StubBroker) -> None:
    [leases] = {id(each.guard): each.guard.leases for each in stub_broker.middleware if hasattr(each, "guard")}.values()
    held: list[int] = []
    declare(lambda number: held.append(len(leases._seats))).send(1)
    drain()
    assert (held, leases._seats) == ([1], {})


@pytest.mark.parametrize("on_outage", ["wait", "run"])
def test_without_the_store_a_message_waits_for_its_seat_or_runs_without(
    stub_broker: StubBroker, store: Silent, ran: list[int], on_outage: str, caplog: pytest.LogCaptureFixture
) -> None:
    store.silent = 1
    declare(ran.append, on_outage=on_outage).send(1)
    assert outcomes() == ["done"]
    assert ran == [1]
    assert ("runs without a seat, since the store does not answer" in caplog.text) is (on_outage == "run")


def test_a_seat_that_can_not_be_left_is_free_a_lease_later(
    store: Silent, ran: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    def work(number: int) -> None:
        ran.append(number)
        store.silent = 1

    declare(work).send(1)
    assert outcomes() == ["done"]
    assert not is_free()
    assert "its seat is free only when its lease is over: it is silent" in caplog.text


def test_no_more_run_at_once_than_may_and_the_others_wait(stub_broker: StubBroker, store: Silent) -> None:
    lock, running, most, ran = threading.Lock(), 0, 0, Counter[int]()

    def work(number: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            ran[number] += 1
        threading.Event().wait(0.005)
        with lock:
            running -= 1

    job = declare(work, max_concurrency=3)
    for number in range(30):
        job.send(number)
    worker = dramatiq.Worker(stub_broker, worker_timeout=10, worker_threads=8)
    worker.start()
    try:
        until(lambda: len(ran) + len(enqueued()) == 30 and not running, seconds=30, what="the end of all")
    finally:
        worker.stop()
    assert (most, set(ran.values())) == (3, {1})


def test_a_seat_that_is_left_while_it_is_renewed_does_not_come_back() -> None:
    store = MemoryStore()
    seat = SeatRequest("gpu", "m1", "t1", 1)
    store.sit(seat)

    class Slow(MemoryStore):
        def keep_seats(self, held: Any) -> list[bool]:
            leases.end_seat(seat)
            store.leave_seat(seat, 50)
            return store.keep_seats(held)

        def leave_seat(self, seat: SeatRequest, held_ms: int | None) -> None:
            store.leave_seat(seat, held_ms)

    leases = Leases(Slow)
    leases.hold_seat(seat)
    leases.renew()
    assert store.sit(SeatRequest("gpu", "m2", "t2", 1)).is_taken


def test_a_seat_that_another_has_is_renewed_no_more(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    leases = Leases(lambda: store)
    store.sit(SeatRequest("gpu", "m2", "t2", 1))
    leases.hold_seat(SeatRequest("gpu", "m1", "t1", 1))
    leases.renew()
    assert leases._seats == {}
    assert "message m1: its seat is another's now" in caplog.text


# What is refused where it is declared.


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"max_concurrency": 0}, "actor 'job': max_concurrency=0 must be an int of at least 1"),
        ({"max_concurrency": True}, "must be an int of at least 1"),
        ({"max_concurency": 3}, "unknown option 'max_concurency', did you mean 'max_concurrency'?"),
        ({"concurrency_key": "gpu"}, "concurrency_key has no effect without max_concurrency; add it"),
        (
            {"max_concurrency": 1, "concurrency_key": "c:{custmer}"},
            "concurrency_key 'c:{custmer}' names unknown argument 'custmer', did you mean 'customer'?",
        ),
    ],
)
def test_an_option_that_could_not_work_is_refused(
    stub_broker: StubBroker, options: dict[str, Any], problem: str
) -> None:
    def work(customer: int) -> None: ...

    with pytest.raises(DeclarationError) as refused:
        actor(actor_name="job", **options)(work)
    assert problem in str(refused.value)


def test_a_limit_is_no_option_of_a_message(ran: list[int]) -> None:
    with pytest.raises(DeclarationError, match="max_concurrency= is an option of the actor, not of a message"):
        declare(ran.append).send_with_options(args=(1,), max_concurrency=3)


# The line.


def looks(waiting: int, *, limit: int, held_ms: int, late_ms: int) -> tuple[float, float]:
    """Simulate *waiting* messages that all come at once; return the share of the best time, and looks a message.

    Each look comes *late_ms* after its time, as a broker's delays are.
    """
    now, asked = 0.0, 0
    events: dict[int, float] = dict.fromkeys(range(waiting), 0.0)
    running: list[float] = []
    pace: float | None = None
    while events:
        now = min([*events.values(), *running])
        for end in [each for each in running if each <= now]:
            running.remove(end)
            pace = pace_after(pace, held_ms)
        for number in sorted(each for each, at in events.items() if at <= now):
            asked += 1
            line = sum(each < number for each in events)
            if may_sit(limit, len(running), line):
                running.append(now + held_ms)
                del events[number]
            else:
                events[number] = now + look_again_ms(limit, line, 100 if pace is None else pace) + late_ms
    return (waiting * held_ms / limit) / max([*running, now]), asked / waiting


@pytest.mark.parametrize(("limit", "held_ms", "late_ms"), [(3, 100, 60), (3, 100, 0), (1, 100, 60), (10, 2_000, 60)])
def test_seats_are_filled_soon_and_few_look_in_vain(limit: int, held_ms: int, late_ms: int) -> None:
    share, asked = looks(300, limit=limit, held_ms=held_ms, late_ms=late_ms)
    assert share >= 0.7
    assert asked <= 30


def test_the_line_costs_little_more_where_it_is_long() -> None:
    _, short = looks(100, limit=3, held_ms=100, late_ms=60)
    _, long = looks(1_000, limit=3, held_ms=100, late_ms=60)
    assert long <= short + 5


def test_the_head_of_the_line_is_longer_than_the_seats() -> None:
    assert [head_of(limit) for limit in (1, 3, 100)] == [6, 10, 204]
