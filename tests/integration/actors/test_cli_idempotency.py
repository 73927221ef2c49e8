"""`actors idempotency` on a real Redis."""

import json
from pathlib import Path
from typing import Any

import pytest
import redis

import services
from middleware.keys import digest
from middleware.stores import Claim, Ending, Outcome, Request, Verdict
from middleware.stores.redis import RedisStore
from tests.integration.project import Project

# Nothing listens there: none of these commands needs RabbitMQ.
NOWHERE_AMQP = "amqp://guest:secret@127.0.0.1:1/"
NOWHERE_REDIS = "redis://:secret@127.0.0.1:1/0"


class Keys:
    """The application's store, as its workers use it."""

    def __init__(self, url: str, prefix: str) -> None:
        self.store = RedisStore(url, prefix=f"{prefix}actors:")
        self._redis: Any = redis.Redis.from_url(url)
        self._names = f"{prefix}*"

    def request(self, key: str, owner: str) -> Request:
        return Request(digest("charge", key), "charge", key, owner, token=f"of {owner}")

    def claim(self, *keys: str) -> list[Claim]:
        requests = [self.request(key, f"message of {key}") for key in keys]
        _, answers = self.store.exchange([], requests)
        assert {answer.verdict for answer in answers} == {Verdict.RUN}
        return [Claim(request, answer.fence) for request, answer in zip(requests, answers, strict=True)]

    def end(self, key: str, ending: Ending, **outcome: Any) -> str:
        """The digest of a key whose only claim has ended."""
        [claim] = self.claim(key)
        assert self.store.exchange([Outcome(claim, ending, **outcome)], []) == ([True], [])
        return claim.request.digest

    def verdict(self, key: str, owner: str) -> Verdict:
        """What the store says to another message with the key."""
        return self.store.exchange([], [self.request(key, owner)])[1][0].verdict

    def dump(self) -> dict[bytes, tuple[bytes, int]]:
        """All there is, with the milliseconds after which each goes."""
        return {name: (self._redis.dump(name), self._redis.pttl(name)) for name in self._redis.scan_iter(self._names)}


@pytest.fixture
def shop(tmp_path: Path, private_redis: services.Redis, prefix: str) -> Project:
    return Project(tmp_path, broker_url=NOWHERE_AMQP, store_url=private_redis.url, prefix=prefix)


@pytest.fixture
def keys(private_redis: services.Redis, prefix: str) -> Keys:
    return Keys(private_redis.url, prefix)


def test_pages_hold_each_of_250_keys_once(shop: Project, keys: Keys) -> None:
    for start in range(0, 250, 50):  # in batches, whose records all expire in the same millisecond
        keys.claim(*(f"key-{number:03}" for number in range(start, start + 50)))
    sizes: list[int] = []
    seen, after = [], ""
    while not sizes or after:
        page = shop.json("idempotency", "list", "--limit", "100", "--after", after)
        sizes.append(len(page["keys"]))
        seen += [record["key"] for record in page["keys"]]
        after = page["next"] or ""
    assert sizes == [100, 100, 50]
    assert sorted(seen) == [f"key-{number:03}" for number in range(250)]


def test_a_filter_goes_through_the_pages_without_doubling_or_missing(shop: Project, keys: Keys) -> None:
    keys.claim(*(f"key-{number:03}" for number in range(250)))
    failed = [f"failed-{number}" for number in range(7)]
    for key in failed:
        keys.end(key, Ending.FAILED)
    seen, after = [], ""
    for _ in range(3):
        page = shop.json("idempotency", "list", "--state", "failed", "--limit", "3", "--after", after)
        seen += [record["key"] for record in page["keys"]]
        after = page["next"] or ""
    assert (sorted(seen), after) == (failed, "")


def test_list_and_show_change_nothing(shop: Project, keys: Keys) -> None:
    keys.claim("running")
    keys.end("waiting", Ending.WAITING, due_ms=60_000)
    keys.end("failed", Ending.FAILED, error="no luck")
    done = keys.end("done", Ending.DONE, result='{"value":42}')
    before = keys.dump()
    for command in (["list"], ["list", "--state", "failed"], ["show", done], ["show", "message of running"]):
        for options in ([], ["--json"]):
            assert shop.actors("idempotency", *command, *options).returncode == 0
    assert shop.actors("idempotency", "show", "unheard of").returncode == 1
    after = keys.dump()
    assert {name: dump for name, (dump, _) in after.items()} == {name: dump for name, (dump, _) in before.items()}
    assert all(after[name][1] <= ttl_ms for name, (_, ttl_ms) in before.items())


def test_a_record_is_found_by_its_key_and_by_its_message(shop: Project, keys: Keys) -> None:
    name = keys.end("charge:42", Ending.DONE, result='{"value":42}')
    for arguments in ([name], ["charge:42", "--actor", "charge"], ["message of charge:42"]):
        record = shop.json("idempotency", "show", *arguments)
        assert (record["digest"], record["state"], record["result"]) == (name, "done", {"value": 42})
    assert shop.json("idempotency", "list")["keys"] == []


def test_a_message_id_that_is_the_key_is_found_through_the_loaded_actors(shop: Project, keys: Keys) -> None:
    request = Request(digest("charge", "message-1"), "charge", "message-1", "message-1", token="t")
    keys.store.exchange([], [request])
    assert shop.json("idempotency", "show", "message-1")["digest"] == request.digest


def test_release_lets_the_key_run_again(shop: Project, keys: Keys) -> None:
    name = keys.end("charge:42", Ending.DONE)
    assert keys.verdict("charge:42", "message-2") is Verdict.DONE
    both = shop.json("idempotency", "release", name)
    assert (both["before"]["state"], both["after"]["state"]) == ("done", "released")
    assert keys.verdict("charge:42", "message-2") is Verdict.RUN


def test_complete_keeps_the_key_from_running_again(shop: Project, keys: Keys) -> None:
    name = keys.end("charge:42", Ending.FAILED)
    both = shop.json("idempotency", "complete", name, "--result", "[1, 2]")
    assert (both["before"]["state"], both["after"]["state"]) == ("failed", "done")
    assert both["after"]["result"] == {"value": [1, 2]}
    assert keys.verdict("charge:42", "message-2") is Verdict.DONE
    assert shop.json("idempotency", "list")["keys"] == []


@pytest.mark.parametrize(("command", "verdict"), [("release", Verdict.RUN), ("complete", Verdict.DONE)])
def test_a_worker_that_is_at_it_is_left_alone_unless_forced(
    shop: Project, keys: Keys, command: str, verdict: Verdict
) -> None:
    [claim] = keys.claim("charge:42")
    name = claim.request.digest
    refused = shop.actors("idempotency", command, name)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "a worker is at charge 'charge:42'" in refused.stderr
    assert keys.verdict("charge:42", "message-2") is Verdict.BUSY

    forced = shop.actors("idempotency", command, name, "--force")
    assert forced.returncode == 0
    assert keys.store.exchange([Outcome(claim, Ending.DONE)], []) == ([False], [])
    assert keys.verdict("charge:42", "message-2") is verdict


def test_every_change_leaves_a_line_on_stderr_and_in_the_applications_log(shop: Project, keys: Keys) -> None:
    shop.write(
        "shop_logs",
        """
        import logging
        logging.basicConfig(filename="shop.log", level=logging.WARNING, format="%(name)s %(message)s")
        """,
    )
    name = keys.end("charge:42", Ending.FAILED)
    ended = shop.actors("idempotency", "release", name, "--force", ACTORS_MODULES="shop_logs")
    [line] = ended.stderr.splitlines()
    entry = json.loads(line.removeprefix("audit: "))
    assert (entry["operation"], entry["digest"], entry["before"]) == ("release", name, "failed")
    [logged] = (shop.folder / "shop.log").read_text().splitlines()
    assert json.loads(logged.removeprefix("actors.audit ")) == entry


def test_another_environments_keys_are_not_seen(shop: Project, keys: Keys) -> None:
    name = keys.end("charge:42", Ending.FAILED)
    other = f"{shop.prefix}staging."
    assert shop.json("idempotency", "list", ACTORS_QUEUE_PREFIX=other)["keys"] == []
    assert shop.actors("idempotency", "release", name, ACTORS_QUEUE_PREFIX=other).returncode == 1


@pytest.mark.parametrize("command", [["list"], ["show", "x"], ["release", "x"], ["complete", "x"]])
def test_a_store_that_is_away_ends_a_command_with_one_line_and_3(shop: Project, command: list[str]) -> None:
    ended = shop.actors("idempotency", *command, "--json", ACTORS_STORE_URL=NOWHERE_REDIS)
    assert (ended.returncode, ended.stdout) == (3, "")
    [line] = ended.stderr.splitlines()
    assert line.startswith("Error: redis://:***@127.0.0.1:1/0: the store does not answer: ")


def test_a_store_that_hangs_ends_a_command_after_its_timeout(
    shop: Project, private_redis: services.Redis, keys: Keys
) -> None:
    private_redis.freeze()
    ended = shop.actors("idempotency", "list", ACTORS_STORE_TIMEOUT_MS="200")
    assert (ended.returncode, ended.stdout) == (3, "")


def test_a_cursor_that_no_page_has_printed_is_a_usage_error(shop: Project) -> None:
    ended = shop.actors("idempotency", "list", "--after", "there")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "--after" in ended.stderr
