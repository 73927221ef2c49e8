"""What processes tell of themselves, on every fleet."""

from __future__ import annotations

import pytest

import actors.fleet.memory
import actors.fleet.redis
import actors.fleet.sqlite
from actors.fleet import Fleet, Interest
from tests.conformance.fleet.subject import LONG, SHORT, Subject


def told(fleet: Fleet) -> dict[str, str]:
    return {kept.member: kept.text for kept in fleet.members()}


def test_what_each_has_told_last_is_kept(subject: Subject) -> None:
    subject.fleet.beat("a", "first", keep_ms=LONG)
    subject.fleet.beat("b", "other ü\ud800".encode("utf-8", "replace").decode(), keep_ms=LONG)
    subject.fleet.beat("a", "second", keep_ms=LONG)
    assert told(subject.another()) == {"a": "second", "b": "other ü?"}


def test_the_age_of_what_was_told_is_that_on_the_fleets_clock(subject: Subject) -> None:
    subject.fleet.beat("a", "", keep_ms=LONG)
    subject.pass_time(SHORT)
    subject.fleet.beat("b", "", keep_ms=LONG)
    [newest, oldest] = subject.fleet.members()
    assert (newest.member, oldest.member) == ("b", "a")
    assert SHORT <= oldest.age_ms - newest.age_ms < LONG


def test_one_that_leaves_is_forgotten_at_once(subject: Subject) -> None:
    subject.fleet.beat("a", "", keep_ms=LONG)
    subject.fleet.beat("b", "", keep_ms=LONG)
    subject.fleet.leave("a")
    subject.fleet.leave("nobody")
    assert set(told(subject.fleet)) == {"b"}


def test_one_that_is_not_heard_of_is_forgotten_after_a_while(subject: Subject) -> None:
    subject.fleet.beat("a", "", keep_ms=SHORT)
    subject.pass_time(SHORT)
    assert told(subject.fleet) == {}


def test_one_that_is_heard_of_keeps_nobody_else(subject: Subject) -> None:
    subject.fleet.beat("a", "", keep_ms=SHORT)
    subject.pass_time(SHORT)
    subject.fleet.beat("b", "", keep_ms=SHORT)
    assert set(told(subject.fleet)) == {"b"}


def test_no_more_are_kept_than_the_limit_and_those_heard_of_last(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (actors.fleet.memory, actors.fleet.redis, actors.fleet.sqlite):
        monkeypatch.setattr(module, "MOST_MEMBERS", 3)
    for number in range(5):
        subject.fleet.beat(f"m{number}", "", keep_ms=LONG)
        subject.pass_time(2)
    assert [kept.member for kept in subject.fleet.members()] == ["m4", "m3", "m2"]


def test_nothing_is_wanted_of_anybody_unless_somebody_says_so(subject: Subject) -> None:
    assert subject.fleet.beat("a", "", keep_ms=LONG) == Interest() == subject.fleet.interest()


@pytest.mark.parametrize("wanted", [Interest(watched=True), Interest(followed=True), Interest(True, True)])
def test_what_is_wanted_is_known_to_all_until_its_time_is_over(subject: Subject, wanted: Interest) -> None:
    subject.another().want(wanted, for_ms=SHORT)
    assert subject.fleet.interest() == subject.fleet.beat("a", "", keep_ms=LONG) == wanted
    subject.pass_time(SHORT)
    assert subject.fleet.interest() == Interest()


def test_who_wants_it_for_a_shorter_time_does_not_cut_anothers_short(subject: Subject) -> None:
    subject.fleet.want(Interest(followed=True), for_ms=LONG)
    subject.another().want(Interest(followed=True), for_ms=SHORT)
    subject.pass_time(SHORT)
    assert subject.fleet.interest() == Interest(followed=True)
