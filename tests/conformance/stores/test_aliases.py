"""From a message to the key that it asked for."""

from middleware.stores import Ending, Store, Verdict
from tests.conformance.stores.subject import SHORT, InRedis, Subject, claim, finish, request, verdict


def test_a_message_with_a_key_of_its_own_is_found(store: Store) -> None:
    claim(store, key="charge:42", owner="m1")
    assert store.digest_of("m1") == "v1.charge:42"


def test_a_message_that_is_its_own_key_needs_no_alias(store: Store) -> None:
    claim(store, key="m1", owner="m1")
    assert store.digest_of("m1") is None


def test_a_message_that_never_asked_is_unknown(store: Store) -> None:
    assert store.digest_of("m1") is None


def test_a_duplicate_is_found_too(store: Store) -> None:
    finish(store, claim(store, owner="m1"), Ending.DONE)
    assert verdict(store, owner="m2") is Verdict.DONE
    assert store.digest_of("m2") == "v1.k"
    assert verdict(store, key="other", owner="m3") is Verdict.RUN
    assert store.digest_of("m3") == "v1.other"


def test_a_message_in_conflict_does_not_get_the_others_result(store: Store) -> None:
    finish(store, claim(store, owner="m1", fingerprint="f1"), Ending.DONE, result="of m1")
    assert verdict(store, owner="m2", fingerprint="f2") is Verdict.CONFLICT
    assert store.digest_of("m2") is None


def test_each_message_of_a_batch_is_found_by_its_own_key(store: Store) -> None:
    mixed = [("k1", "m1"), ("m2", "m2"), ("k3", "m3"), ("k1", "m4"), ("m5", "m5"), ("k6", "m6")]
    store.exchange([], [request(key, owner) for key, owner in mixed])
    found = [store.digest_of(owner) for _, owner in mixed]
    assert found == ["v1.k1", None, "v1.k3", "v1.k1", None, "v1.k6"]


def test_a_conflict_in_a_batch_moves_no_alias_to_another(store: Store) -> None:
    claim(store, key="k1", fingerprint="f1")
    store.exchange([], [request("k1", "m2", fingerprint="f2"), request("k3", "m3")])
    assert [store.digest_of(owner) for owner in ("m2", "m3")] == [None, "v1.k3"]


def test_an_alias_is_forgotten_with_the_record(store: Store, subject: Subject) -> None:
    claim(store, owner="m1", lease_ms=SHORT, ttl_ms=SHORT)
    subject.pass_time(2 * SHORT)
    assert store.digest_of("m1") is None


def test_a_message_that_is_its_own_key_costs_one_entry(in_redis: InRedis) -> None:
    finish(in_redis.store, claim(in_redis.store, key="m1", owner="m1"), Ending.DONE)
    names = {name.decode().removeprefix(in_redis.prefix) for name in in_redis.raw.scan_iter(f"{in_redis.prefix}*")}
    assert names == {"key:v1.m1", "fence"}
