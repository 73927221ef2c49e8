"""Events wait in bounds, and only while somebody wants them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from actors.fleet.outbox import PER_S, Outbox
from middleware import AttemptLog
from tests.unit.actors.fleet.scene import NOW, Clock, ended


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def outbox(clock: Clock) -> Outbox:
    return Outbox("host:7:ab", AttemptLog(version=lambda: "1.2").fields, clock)


def taken(outbox: Outbox) -> list[dict[str, Any]]:
    return [json.loads(text) for text in outbox.take(NOW / 1_000)]


def test_an_event_says_what_the_log_line_of_its_attempt_says(outbox: Outbox) -> None:
    attempt = ended(outcome="dead", duration_ms=2.5, at=NOW / 1_000 - 1)
    outbox([attempt])
    [event] = taken(outbox)
    assert (
        event.items()
        >= {
            "event": "attempt",
            "at": NOW - 1_000,
            "member": "host:7:ab",
            "number": 1,
            "message_id": attempt.message.message_id,
            "actor": "charge",
            "queue": "default",
            "outcome": "dead",
            "wait_ms": 5,
            "duration_ms": 2.5,
            "error_type": "ValueError",
            "error": "no data",
            "version": "1.2",
        }.items()
    )


def test_events_are_numbered_across_batches(outbox: Outbox) -> None:
    outbox([ended(), ended()])
    first = taken(outbox)
    outbox.add("worker_stopped", worker="host:7")
    second = taken(outbox)
    assert [each["number"] for each in [*first, *second]] == [1, 2, 3]
    assert second[0].items() >= {"event": "worker_stopped", "worker": "host:7", "at": NOW}.items()


def test_what_is_more_than_a_thousand_a_second_is_left_out_and_counted(outbox: Outbox, clock: Clock) -> None:
    outbox([ended() for _ in range(PER_S + 7)])
    outbox([ended() for _ in range(3)])
    events = taken(outbox)
    assert len(events) == PER_S + 1
    assert events[-1].items() >= {"event": "left_out", "count": 10, "number": PER_S + 1}.items()
    clock.time_s += 0.1
    outbox([ended() for _ in range(200)])
    events = taken(outbox)
    assert (len(events), events[-1]["count"]) == (PER_S // 10 + 1, 200 - PER_S // 10)


def test_room_does_not_grow_without_bounds(outbox: Outbox, clock: Clock) -> None:
    clock.time_s += 3_600
    outbox([ended() for _ in range(2 * PER_S)])
    assert taken(outbox)[-1]["count"] == PER_S


def test_nothing_waits_while_nobody_follows(outbox: Outbox) -> None:
    outbox([ended()])
    outbox.open(False)
    outbox([ended()])
    outbox.add("worker_stopped")
    assert taken(outbox) == []
    outbox.open(True)
    outbox([ended()])
    assert [each["number"] for each in taken(outbox)] == [1]


def test_the_applications_rule_has_the_last_word_on_what_is_told_of_an_attempt() -> None:
    def redact(fields: dict[str, Any]) -> None:
        fields["actor"] = "somebody's"
        fields["error"] = "…"

    outbox = Outbox("m", AttemptLog(redact=lambda: redact).fields, Clock())
    outbox([ended(error=LookupError("no order of Ms Smith"))])

    [event] = map(json.loads, outbox.take(NOW))
    assert (event["actor"], event["error"]) == ("somebody's", "…")
    assert "Smith" not in json.dumps(event)
