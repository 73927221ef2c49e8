"""Events of many processes, on every fleet."""

from __future__ import annotations

import pytest

import actors.fleet.redis
import actors.fleet.sqlite
from actors.fleet.protocol import MOST_EVENTS
from tests.conformance.fleet.subject import InMemory, Subject


def test_events_are_read_in_order_from_where_one_was(subject: Subject) -> None:
    subject.fleet.publish(["before"])
    _, cursor = subject.fleet.newest(0)
    subject.fleet.publish(["1", "2", "3"])
    first, cursor = subject.another().after(cursor, limit=2)
    assert list(first) == ["1", "2"]
    rest, cursor = subject.another().after(cursor, limit=2)
    assert list(rest) == ["3"]
    assert subject.fleet.after(cursor, limit=2) == ([], cursor)


def test_who_comes_before_the_first_event_misses_none(subject: Subject) -> None:
    found, cursor = subject.fleet.newest(10)
    assert list(found) == []
    subject.another().publish(["1"])
    assert list(subject.fleet.after(cursor, limit=10)[0]) == ["1"]


def test_the_newest_are_shown_with_the_oldest_of_them_first(subject: Subject) -> None:
    subject.fleet.publish(["1", "2", "3"])
    found, cursor = subject.fleet.newest(2)
    assert list(found) == ["2", "3"]
    assert list(subject.fleet.after(cursor, limit=10)[0]) == []


def test_who_is_too_slow_goes_on_with_the_oldest_that_is_left(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, cursor = subject.fleet.newest(0)
    most = MOST_EVENTS
    if not isinstance(subject, InMemory):
        most = 10
        for module in (actors.fleet.redis, actors.fleet.sqlite):
            monkeypatch.setattr(module, "MOST_EVENTS", most)
    subject.fleet.publish([str(number) for number in range(most + 5)])
    found, _ = subject.fleet.after(cursor, limit=most + 5)
    assert list(found) == [str(number) for number in range(5, most + 5)]


def test_many_events_are_published_as_well_as_one(subject: Subject) -> None:
    events = [str(number) for number in range(1_201)]
    _, cursor = subject.fleet.newest(0)
    subject.fleet.publish(events)
    assert list(subject.fleet.after(cursor, limit=5_000)[0]) == events
