from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from middleware import leases as module
from middleware.leases import Lease, Leases
from middleware.stores import Claim, Ending, MemoryStore, StoreUnavailable
from services.deadline import until
from tests.conformance.stores.subject import claim, finish

LEASE_MS = 30_000


class Store(MemoryStore):
    """Notes the claims of each renewal; fails as often as it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.renewals: list[list[str]] = []
        self.failures: list[Exception] = []

    def renew(self, claims: Sequence[Claim]) -> list[bool]:
        self.renewals.append([each.request.owner for each in claims])
        if self.failures:
            raise self.failures.pop()
        return super().renew(claims)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def leases(store: Store) -> Iterator[Leases]:
    leases = Leases(lambda: store)
    yield leases
    leases.stop()


def hold(leases: Leases, store: Store, owner: str, **options: Any) -> Lease:
    held = claim(store, key=owner, owner=owner, **{"lease_ms": LEASE_MS, **options})
    return leases.hold(held, asked_at=time.monotonic())


def test_all_leases_are_renewed_in_one_call_started_or_not(leases: Leases, store: Store) -> None:
    held = [hold(leases, store, owner) for owner in ("m1", "m2", "m3")]
    assert leases.start(held[0])
    for lease in held:
        lease.good_until = 0.0

    leases.renew()

    assert store.renewals == [["m1", "m2", "m3"]]
    assert all(lease.is_good for lease in held)


def test_a_lease_is_good_for_its_time_from_when_the_store_was_asked(leases: Leases, store: Store) -> None:
    asked_at = time.monotonic() - 29
    lease = leases.hold(claim(store, lease_ms=LEASE_MS), asked_at=asked_at)
    assert lease.good_until == asked_at + 30
    assert lease.is_good

    late = leases.hold(claim(store, key="late", lease_ms=LEASE_MS), asked_at=asked_at - 2)
    assert not late.is_good


def test_a_lease_that_has_ended_is_renewed_no_more(leases: Leases, store: Store) -> None:
    ended, _ = hold(leases, store, "m1"), hold(leases, store, "m2")
    leases.end(ended)
    leases.end(ended)

    leases.renew()

    assert store.renewals == [["m2"]]


def test_a_lease_that_is_anothers_now_is_good_no_more(
    leases: Leases, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    lost, kept = hold(leases, store, "m1"), hold(leases, store, "m2")
    store.release("v1.m1", force=True)
    claim(store, key="m1", owner="another")

    leases.renew()
    assert (lost.is_good, kept.is_good) == (False, True)
    assert caplog.messages == ["message m1: the lease of its key 'm1' is another's now"]

    leases.renew()
    assert store.renewals[-1] == ["m2"]
    assert len(caplog.messages) == 1


def test_the_lease_of_what_has_just_ended_is_not_reported_as_lost(
    leases: Leases, store: Store, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = hold(leases, store, "m1")

    def renew(claims: Sequence[Claim]) -> list[bool]:
        # While the renewal is on its way, its job ends.
        leases.end(lease)
        assert finish(store, lease.claim, Ending.DONE)
        return MemoryStore.renew(store, claims)

    monkeypatch.setattr(store, "renew", renew)
    leases.renew()

    assert caplog.messages == []


def test_a_lease_is_started_once(leases: Leases, store: Store) -> None:
    lease = hold(leases, store, "m1")
    barrier, starts = threading.Barrier(8), list[bool]()

    def start() -> None:
        barrier.wait()
        starts.append(leases.start(lease))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(starts) == [False] * 7 + [True]


def test_a_lease_that_has_ended_can_not_be_started(leases: Leases, store: Store) -> None:
    lease = hold(leases, store, "m1")
    leases.end(lease)

    assert not leases.start(lease)


def test_the_thread_renews_each_third_of_the_shortest_lease(leases: Leases, store: Store) -> None:
    leases.begin()
    hold(leases, store, "long")
    hold(leases, store, "short", lease_ms=300)
    began = time.monotonic()

    until(lambda: len(store.renewals) == 4, seconds=10, what="renewals")

    assert time.monotonic() - began >= 0.35
    record = store.inspect("v1.short")
    assert record is not None
    assert record.until > store.now()


def test_the_thread_survives_an_outage_and_says_so_once(
    leases: Leases, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    store.failures = [StoreUnavailable("it is silent")] * 3
    lease = hold(leases, store, "m1", lease_ms=300)
    leases.begin()

    until(lambda: len(store.renewals) > 3, seconds=10, what="the renewal after the outage")
    until(lambda: lease.is_good, seconds=10, what="the lease")

    assert caplog.messages == ["leases can't be renewed: it is silent"]


def test_a_renewal_that_failed_is_tried_again_soon_though_leases_are_long(
    leases: Leases, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "AGAIN_AFTER_S", 0.02)
    store.failures = [StoreUnavailable("it is silent")] * 3
    leases.begin()
    hold(leases, store, "m1", lease_ms=3_000)

    until(lambda: len(store.renewals) == 1, seconds=10, what="the first renewal")
    failed_at = time.monotonic()
    until(lambda: len(store.renewals) == 4, seconds=10, what="the renewal after the outage")

    # Three more at a third of the lease would take 3 s.
    assert time.monotonic() - failed_at < 2.5


def test_the_thread_survives_what_nobody_expected(
    leases: Leases, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    store.failures = [ValueError("mine")]
    hold(leases, store, "m1", lease_ms=100)
    leases.begin()

    until(lambda: len(store.renewals) == 3, seconds=10, what="renewals after the error")

    assert caplog.messages == ["unexpected error while renewing leases"]


def test_the_thread_ends_when_it_is_told_to_and_can_begin_again(leases: Leases, store: Store) -> None:
    hold(leases, store, "m1", lease_ms=100)
    leases.begin()
    leases.stop()
    count = len(store.renewals)
    assert "actors-leases" not in [thread.name for thread in threading.enumerate()]

    leases.begin()
    until(lambda: len(store.renewals) > count, seconds=10, what="a renewal by the new thread")
