"""Predicates combine by ``&``, ``|`` and ``~`` as logic has it, where None is no opinion and a delay is a yes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import dramatiq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware.options import InvalidPolicy
from middleware.predicates import Answer, FailedAttempt, NoAnswer, Retryable, ask, by_status, by_type

ATTEMPT = FailedAttempt(dramatiq.Message("default", "charge", (), {}, {}), ValueError("no"), 0, timedelta())


class Says(Retryable):
    """Always says the same, which may be no answer."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked = 0

    def __repr__(self) -> str:
        return f"Says({self.answer!r})"

    def decide(self, attempt: FailedAttempt) -> Answer:
        self.asked += 1
        answer: Answer = self.answer
        return answer


answers = st.one_of(st.none(), st.booleans(), st.timedeltas())
rules = answers.map(Says)
wishes = st.one_of(st.just(True), st.timedeltas())


def said(rule: Retryable) -> Answer:
    return rule.decide(ATTEMPT)


def truth(answer: Answer) -> bool | None:
    return True if isinstance(answer, timedelta) else answer


@given(rules, rules)
def test_the_order_does_not_matter(a: Says, b: Says) -> None:
    assert said(a & b) == said(b & a)
    assert said(a | b) == said(b | a)


@given(rules, rules, rules)
def test_the_grouping_does_not_matter(a: Says, b: Says, c: Says) -> None:
    assert said((a & b) & c) == said(a & (b & c))
    assert said((a | b) | c) == said(a | (b | c))


@given(rules)
def test_no_opinion_changes_nothing(a: Says) -> None:
    nothing = Says(None)

    assert said(a & nothing) == said(nothing & a) == said(a | nothing) == said(nothing | a) == said(a)
    assert said(~nothing) is None


@given(rules)
def test_saying_it_twice_changes_nothing(a: Says) -> None:
    assert said(a & a) == said(a | a) == said(a)


@given(rules, rules)
def test_a_negation_goes_into_its_combination(a: Says, b: Says) -> None:
    """De Morgan's laws."""
    assert said(~(a & b)) == said(~a | ~b)
    assert said(~(a | b)) == said(~a & ~b)


@given(rules)
def test_a_negation_undoes_itself_but_for_a_delay(a: Says) -> None:
    assert said(~~a) == truth(said(a))


@given(rules, rules, rules)
def test_truth_distributes(a: Says, b: Says, c: Says) -> None:
    """Where all have an opinion."""
    if None not in (a.answer, b.answer, c.answer):
        assert truth(said(a & (b | c))) == truth(said((a & b) | (a & c)))
        assert truth(said(a | (b & c))) == truth(said((a | b) & (a | c)))


@given(rules)
def test_one_no_is_enough_for_and_but_not_for_or(a: Says) -> None:
    no = Says(False)

    assert said(a & no) is said(no & a) is False
    assert said(a | no) == said(no | a) == (False if a.answer is None else a.answer)


@given(wishes, wishes)
def test_the_longest_delay_counts(one: Answer, other: Answer) -> None:
    delays = [each for each in (one, other) if isinstance(each, timedelta)]
    expected = max(delays) if delays else True

    assert said(Says(one) & Says(other)) == expected
    assert said(Says(one) | Says(other)) == expected


def test_after_a_no_nobody_is_asked() -> None:
    """So that one may guard another: what is by a status may look for it."""
    picky = Says("no answer")

    assert said(Says(False) & picky) is False
    assert picky.asked == 0


def test_all_are_asked_for_the_longest_delay() -> None:
    second = Says(timedelta(hours=1))

    assert said(Says(True) | second) == timedelta(hours=1)
    assert second.asked == 1


@pytest.mark.parametrize("no_answer", ["yes", 1, 0, []])
def test_what_is_no_answer_is_none_in_a_combination_either(no_answer: object) -> None:
    bad, good = Says(no_answer), Says(True)

    for rule in (bad & good, good & bad, bad | good, good | bad, ~bad, ~(good & ~~bad)):
        with pytest.raises(
            NoAnswer, match=r"^retry_when returned .+; it must return True, False, a timedelta or None$"
        ):
            ask(rule, ATTEMPT)


@pytest.mark.parametrize("other", [lambda retries, error: True, ConnectionError, True, None, Says])
def test_what_is_no_retryable_is_refused_when_it_is_combined(other: Any) -> None:
    problem = r"can't be combined with a Retryable; make it a subclass of Retryable$"

    with pytest.raises(InvalidPolicy, match=problem):
        by_type(ValueError) & other
    with pytest.raises(InvalidPolicy, match=problem):
        by_type(ValueError) | other


@pytest.mark.parametrize(
    "combine",
    [
        lambda one, other: one and other,
        lambda one, other: one or other,
        lambda one, other: not one,
    ],
)
def test_the_words_for_it_are_refused_which_would_drop_one_of_the_two(combine: Callable[[Any, Any], object]) -> None:
    with pytest.raises(InvalidPolicy, match=r"combine it by &, \| and ~, not by and, or and not$"):
        combine(by_type(ValueError), by_status(429))


def test_ready_made_ones_and_ones_own_combine() -> None:
    class Twice(Retryable):
        def decide(self, attempt: FailedAttempt) -> bool:
            return attempt.retries < 2

    patient = (by_type(LookupError) | by_status(429) | by_type(ValueError)) & ~by_type(UnicodeError) & Twice()

    def outcome(error: BaseException, retries: int = 0) -> Answer:
        return ask(patient, FailedAttempt(ATTEMPT.message, error, retries, timedelta()))

    assert [outcome(each) for each in (ValueError(), KeyError(), TypeError())] == [True, True, False]
    assert outcome(UnicodeDecodeError("utf-8", b"", 0, 1, "no")) is False
    assert [outcome(ValueError(), retries) for retries in (1, 2)] == [True, False]
