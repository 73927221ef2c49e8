"""Scripts that Redis forgets, the trips that a call takes, and the names that it uses."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from middleware.stores import Ending, Outcome, Verdict
from middleware.stores.redis import BATCH
from tests.conformance.stores.subject import LONG, SHORT, InRedis, begin, claim, finish, record, request, verdict


def calls(raw: Any) -> dict[str, int]:
    """How often each command was called since the statistics were reset, by clients and in scripts."""
    names = {name.removeprefix("cmdstat_"): each["calls"] for name, each in raw.info("commandstats").items()}
    return {name: count for name, count in names.items() if not name.startswith("config")}


def test_every_operation_survives_that_redis_forgets_its_scripts(in_redis: InRedis) -> None:
    store = in_redis.store
    held, ended = claim(store, key="held"), claim(store, key="ended")
    store.open_group("g", 2, ttl_ms=LONG)
    operations: list[Callable[[], bool]] = [
        lambda: verdict(store, "new") is Verdict.RUN,
        lambda: finish(store, ended, Ending.FAILED),
        lambda: store.renew([held]) == [True],
        lambda: store.mark(held),
        lambda: store.release("v1.ended").state == "failed",
        lambda: store.complete("v1.ended").state == "released",
        lambda: not store.arrive("g", "a"),
        lambda: store.restore([], [], fence=1) == [],
        lambda: store.abort("m1", ["v1.held"]) == "running",
    ]
    for operation in operations:
        in_redis.raw.script_flush()
        assert operation()


def test_an_exchange_survives_that_redis_forgets_its_scripts(in_redis: InRedis) -> None:
    held = claim(in_redis.store, key="old", owner="m1")
    in_redis.raw.script_flush()
    requests = [request("old", "m2"), request("new", "m2")]
    counted, answers = in_redis.store.exchange([Outcome(held, Ending.DONE, result="42")], requests)
    assert (counted, [answer.verdict for answer in answers]) == ([True], [Verdict.DONE, Verdict.RUN])


def test_outcomes_come_first_also_where_redis_knows_only_the_script_for_requests(in_redis: InRedis) -> None:
    in_redis.raw.script_flush()
    held = claim(in_redis.store, owner="m1", lease_ms=SHORT)
    in_redis.pass_time(SHORT)
    counted, [answer] = in_redis.store.exchange([Outcome(held, Ending.DONE)], [request(owner="m2")])
    assert (counted, answer.verdict) == ([True], Verdict.DONE)


def test_exchanges_go_on_while_redis_forgets_its_scripts_again_and_again(in_redis: InRedis) -> None:
    stop = threading.Event()

    def forget() -> None:
        while not stop.is_set():
            in_redis.raw.script_flush()

    forgetting = threading.Thread(target=forget)
    forgetting.start()
    try:
        for number in range(50):
            held = claim(in_redis.store, key=f"k{number}")
            assert finish(in_redis.store, held, Ending.DONE)
    finally:
        stop.set()
        forgetting.join()


def test_a_script_that_another_process_has_loaded_is_not_loaded_again(in_redis: InRedis) -> None:
    begin(in_redis.store, request())
    in_redis.raw.config_resetstat()
    begin(in_redis.another(), request("other"))
    assert not any(name.startswith("script") for name in calls(in_redis.raw))


def test_a_batch_costs_two_calls_for_all_and_one_for_each(in_redis: InRedis) -> None:
    finish(in_redis.store, claim(in_redis.store), Ending.DONE)
    held = [claim(in_redis.store, key=f"m{number}", owner=f"m{number}") for number in range(100)]
    more = [request(f"n{number}", f"n{number}") for number in range(100)]
    in_redis.raw.config_resetstat()
    in_redis.store.exchange([Outcome(each, Ending.DONE) for each in held], more)
    found = calls(in_redis.raw)
    assert found.pop("set") == 201  # and one for the fence
    assert found.pop("eval") + found.pop("evalsha") == 2
    assert sum(found.values()) < 20


def test_a_script_is_given_a_batch_at_most(in_redis: InRedis) -> None:
    begin(in_redis.store, request("first"))
    in_redis.raw.config_resetstat()
    in_redis.store.exchange([], [request(f"k{number}") for number in range(2 * BATCH + 1)])
    assert calls(in_redis.raw)["evalsha"] == 3


def test_everything_in_redis_has_the_prefix_and_but_the_fence_an_end(in_redis: InRedis) -> None:
    in_redis.raw.flushall()
    store = in_redis.store
    for ending in Ending:
        finish(store, claim(store, key=ending.value), ending)
    claim(store, key="running")
    store.open_group("g", 2, ttl_ms=LONG)
    store.arrive("g", "m1")
    store.abort("m2", [])
    endless = {name.decode() for name in in_redis.raw.scan_iter() if in_redis.raw.ttl(name) < 0}
    assert endless == {f"{in_redis.prefix}fence", f"{in_redis.prefix}open"}
    assert all(name.decode().startswith(in_redis.prefix) for name in in_redis.raw.scan_iter())


def test_prefixes_keep_environments_apart(in_redis: InRedis) -> None:
    finish(in_redis.store, claim(in_redis.store), Ending.DONE)
    in_redis.prefix += "test:"
    other = in_redis.another()
    assert verdict(other) is Verdict.RUN
    assert record(in_redis.store).state == "done"
