"""Any text, long results, and batches far larger than a consumer's."""

import pytest

from middleware.stores import Claim, Ending, Outcome, Store, Verdict, pages
from tests.conformance.stores.subject import InRedis, begin, claim, finish, record, request

MANY = 10_000
TEXTS = [
    "charge:42",
    "Überweisung Nº 7",
    "請求書-42",
    "🧾💶" * 100,
    "quotes \" and \\ and / and ' and ]",
    "lines\r\nand\ttabs\x00and\x1b[31m\x7f\u2028",
    "null",
    '","',
    "a lone surrogate \ud800, as JSON may hold one",
    "%s %d {0}",
    " ",
]


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_is_kept_as_it_is(store: Store, text: str) -> None:
    asked = request(text, f"id {text}", scope=f"scope {text}", fingerprint=f"f {text}", token=f"token {text}")
    held = claim(store, asked)
    assert begin(store, asked).fence == held.fence
    assert store.mark(held)
    assert store.digest_of(asked.owner) == asked.digest
    finish(store, held, Ending.WAITING, error=f"error {text}")
    assert begin(store, request(text, "other")).error == f"error {text}"
    held = claim(store, request(text, asked.owner, scope=asked.scope, fingerprint=asked.fingerprint))
    finish(store, held, Ending.DONE, result=f"result {text}")
    found = record(store, text)
    assert (found.key, found.owner, found.scope) == (text, asked.owner, asked.scope)
    assert (found.fingerprint, found.result) == (asked.fingerprint, f"result {text}")
    assert begin(store, request(text, "other")).result == f"result {text}"


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_can_be_a_message_id_that_is_the_key(store: Store, text: str) -> None:
    held = claim(store, request(text, text))
    assert [each.key for each in pages(store)] == [text]
    finish(store, held, Ending.DONE)
    found = record(store, text)
    assert (found.key, found.owner) == (text, text)
    store.release(found.digest)
    assert record(store, text).key == text


def test_an_empty_key_is_not_taken_for_the_message_id(store: Store) -> None:
    finish(store, claim(store, key="", owner="m1"), Ending.DONE)
    assert (record(store, "").key, record(store, "").owner) == ("", "m1")


@pytest.mark.parametrize("character", ["x", "ü", '"'])
def test_a_result_of_64_kib_comes_back(store: Store, character: str) -> None:
    result = character * (65_536 // len(character.encode()))
    finish(store, claim(store), Ending.DONE, result=result)
    assert record(store).result == result
    assert begin(store, request(owner="m2")).result == result


def test_a_batch_of_results_of_64_kib_is_recorded(store: Store) -> None:
    held = [claim(store, key=f"k{number}") for number in range(50)]
    outcomes = [Outcome(each, Ending.DONE, result=f"{number:65536}") for number, each in enumerate(held)]
    assert store.exchange(outcomes, [])[0] == [True] * 50
    _, answers = store.exchange([], [request(f"k{number}", "m2") for number in range(50)])
    assert [answer.result for answer in answers] == [outcome.result for outcome in outcomes]


def test_10_000_requests_fit_one_exchange(store: Store) -> None:
    requests = [request(f"k{number}", f"m{number}") for number in range(MANY)]
    _, answers = store.exchange([], requests)
    assert {answer.verdict for answer in answers} == {Verdict.RUN}
    fences = [answer.fence for answer in answers]
    assert fences == sorted(set(fences))
    held = [Claim(asked, answer.fence) for asked, answer in zip(requests, answers, strict=True)]
    assert store.renew(held) == [True] * MANY
    assert sorted(each.digest for each in pages(store, limit=3_000)) == sorted(asked.digest for asked in requests)
    again = [request(f"k{number}", f"m{number}") for number in range(MANY)]
    counted, answers = store.exchange([Outcome(each, Ending.DONE) for each in held], again)
    assert counted == [True] * MANY
    assert {answer.verdict for answer in answers} == {Verdict.DONE}
    assert list(pages(store)) == []


def test_a_key_that_is_twice_in_a_large_exchange_runs_once(store: Store) -> None:
    requests = [request(f"k{number % 1_500}", f"m{number}") for number in range(3_000)]
    _, answers = store.exchange([], requests)
    assert [answer.verdict for answer in answers] == [Verdict.RUN] * 1_500 + [Verdict.BUSY] * 1_500


def test_the_record_of_a_message_that_is_done_is_small(in_redis: InRedis) -> None:
    owner = "8f14e45f-ceea-467f-a0e6-1d2f3a4b5c6d"
    held = claim(in_redis.store, request(owner, owner, scope="send_invoice"))
    finish(in_redis.store, held, Ending.DONE)
    assert in_redis.raw.strlen(f"{in_redis.prefix}key:v1.{owner}") <= 140
