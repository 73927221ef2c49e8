from __future__ import annotations

import json
from typing import Any

import dramatiq
import pytest

from actors import actor
from actors.testing import StubBroker, drain, enqueued
from middleware.failure import Reason
from middleware.trail import LONGEST, LONGEST_ERROR, MOST, note, retries_of, trail_of


def proxy(**options: Any) -> dramatiq.MessageProxy:
    return dramatiq.MessageProxy(dramatiq.Message("default", "charge", (), {}, options))


def test_a_message_that_has_not_failed_has_no_trail() -> None:
    assert list(trail_of(proxy())) == []
    assert retries_of(proxy()) == 0


def test_what_there_is_to_say_is_noted() -> None:
    message = proxy()

    note(message, {"attempt": 1, "error": "E", "delay": 0, "reason": None, "why": ""})
    note(message, {"attempt": 2, "error": "E", "delay": None, "reason": Reason.EXHAUSTED, "why": "w"})

    assert trail_of(message) == [
        {"attempt": 1, "error": "E", "delay": 0},
        {"attempt": 2, "error": "E", "reason": "exhausted", "why": "w"},
    ]


def test_a_trail_survives_json() -> None:
    message = proxy()
    note(message, {"attempt": 1, "by": "predicate", "reason": Reason.PREDICATE})

    decoded = dramatiq.Message.decode(message._message.encode())

    assert trail_of(decoded) == [{"attempt": 1, "by": "predicate", "reason": "predicate"}]
    assert type(decoded.options["attempts"][0]["reason"]) is str


@pytest.mark.parametrize("count", [1, LONGEST - 1, LONGEST, LONGEST + 1, 10 * LONGEST])
def test_the_first_attempt_is_kept_and_the_last_ones(count: int) -> None:
    message = proxy()
    for number in range(1, count + 1):
        note(message, {"attempt": number})

    kept = [each["attempt"] for each in trail_of(message)]
    expected = range(1, count + 1)
    assert kept == ([*expected] if count <= LONGEST else [1, *expected[-(LONGEST - 1) :]])


def test_a_trail_of_another_producers_is_cut_too() -> None:
    message = proxy(attempts=[{"attempt": number} for number in range(1_000)])

    note(message, {"attempt": 1_000})

    assert [each["attempt"] for each in trail_of(message)] == [0, *range(982, 1_001)]


def test_a_note_leaves_the_list_alone_that_another_copy_of_the_message_has() -> None:
    first = [{"attempt": 1}]
    message = proxy(attempts=first)

    note(message, {"attempt": 2})

    assert first == [{"attempt": 1}]


@pytest.mark.parametrize("garbage", ["x", None, 7, {"attempt": 1}, [], [None, "x", [1]]])
def test_what_is_no_trail_is_none(garbage: object) -> None:
    message = proxy(attempts=garbage)

    assert list(trail_of(message)) == []
    note(message, {"attempt": 1})
    assert trail_of(message) == [{"attempt": 1}]


@pytest.mark.parametrize("garbage", ["3", None, -1, True, 1.0, 10**30, MOST + 1, [1], {}])
def test_what_is_no_number_of_retries_is_none(garbage: object) -> None:
    assert retries_of(proxy(retries=garbage)) == 0


@pytest.mark.parametrize("retries", [0, 1, MOST])
def test_the_retries_of_a_message_are_counted_in_it(retries: int) -> None:
    assert retries_of(proxy(retries=retries)) == retries_of(proxy(retries=retries)._message) == retries


def test_a_retry_carries_its_trail_and_a_dead_letter_the_whole_of_it(stub_broker: StubBroker) -> None:
    errors = iter([KeyError("first"), ValueError("x" * 1_000), OSError("last")])

    @actor(max_retries=2, min_backoff=5, max_backoff=5)
    def charge() -> None:
        raise next(errors)

    charge.send()
    drain(retries=True)
    (retry,) = enqueued()
    first = retry.options["attempts"]
    assert [{**each, "at": 0} for each in first] == [
        {"attempt": 1, "at": 0, "error": "KeyError: 'first'", "by": "policy", "delay": 5}
    ]

    drain(raises=False, with_delays=True)
    (letter,) = stub_broker.dead_letters
    trail = trail_of(letter)
    assert trail[0] == first[0]
    assert [{**each, "at": 0} for each in trail[1:]] == [
        {"attempt": 2, "at": 0, "error": f"ValueError: {'x' * 1_000}"[:LONGEST_ERROR], "by": "policy", "delay": 5},
        {"attempt": 3, "at": 0, "error": "OSError: last", "by": "max_retries", "reason": "exhausted"},
    ]
    ends = [each["at"] for each in trail]
    assert ends == sorted(ends)
    assert all(isinstance(each, int) for each in ends)
    assert json.loads(json.dumps(letter.options)) == letter.options


def test_a_message_that_is_tried_for_ever_does_not_grow_for_ever(stub_broker: StubBroker) -> None:
    @actor(max_retries=None, min_backoff=1, max_backoff=1)
    def charge() -> None:
        raise ValueError("x" * 1_000)

    charge.send()
    sizes: list[int] = []
    for _ in range(3 * LONGEST):
        drain(retries=True, with_delays=True, until_empty=False)
        sizes += [len(entry.body) for entry in stub_broker.waiting()]

    assert len(sizes) == 3 * LONGEST
    assert sizes[1] - sizes[0] > 100
    assert abs(sizes[-1] - sizes[LONGEST]) < 100
