"""What a store in memory costs the process that it is in."""

import itertools

from middleware.stores import MemoryStore, Request


def test_what_has_expired_does_not_fill_the_memory() -> None:
    time = itertools.count()
    store = MemoryStore(now=lambda: next(time))
    for number in range(20_000):
        request = Request(f"v1.{number}", "charge", f"k{number}", f"m{number}", "t", lease_ms=10, ttl_ms=90)
        store.exchange([], [request])
        store.open_group(f"g{number}", 2, ttl_ms=100)
    assert len(store._kept) + len(store._aliases) + len(store._groups) < 2_000


def test_what_has_not_expired_is_kept() -> None:
    store = MemoryStore(now=lambda: 0)
    for number in range(2_000):
        store.exchange([], [Request(f"v1.{number}", "charge", f"k{number}", f"m{number}", "t")])
        store.open_group(f"g{number}", 1, ttl_ms=1)
    assert all(store.inspect(f"v1.{number}") is not None for number in range(2_000))
    assert all(store.digest_of(f"m{number}") == f"v1.{number}" for number in range(2_000))
    assert all(store.arrive(f"g{number}", "m") for number in range(2_000))
