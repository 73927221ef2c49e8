"""Whether a replica lives and is ready, from what it notes of itself."""

import time
from dataclasses import replace
from datetime import timedelta

import pytest

from periodic.health import FURTHEST_OFF, UNCONSUMED_FOR_S, Check, live, ready
from periodic.status import CONNECT_WITHIN_S, TURN_WITHIN_S, Role, Status, Unconsumed
from tests.unit.periodic.moments import MIDNIGHT

# Beyond what rounding and the run of a test may take, in seconds.
A_MOMENT = 5.0


def status(role: Role = Role.LEADING, problem: str = "") -> Status:
    made = Status("one")
    made.enter(role, MIDNIGHT, problem)
    return made


def failed(checks: list[Check]) -> list[Check]:
    return [check for check in checks if not check.ok]


@pytest.mark.parametrize("role", [Role.LEADING, Role.STANDING_BY])
def test_one_that_leads_or_stands_by_lives_and_is_ready(role: Role) -> None:
    now_s = time.monotonic()
    assert failed(live(status(role), now_s)) == failed(ready(status(role), now_s)) == []


@pytest.mark.parametrize(
    ("role", "within_s"),
    [(Role.LEADING, TURN_WITHIN_S), (Role.REFUSING, TURN_WITHIN_S), (Role.CONNECTING, CONNECT_WITHIN_S)],
)
def test_one_whose_loop_does_not_come_round_lives_no_more(role: Role, within_s: float) -> None:
    hangs, began_s = status(role), time.monotonic()
    assert failed(live(hangs, began_s + within_s - A_MOMENT)) == []
    [check] = failed(live(hangs, began_s + within_s + A_MOMENT))
    assert (check.name, check.advice[:10]) == ("loop", "restart it")
    assert check in ready(hangs, began_s + within_s + A_MOMENT)


def test_each_turn_is_good_for_as_long_again_whatever_the_clock_says() -> None:
    turns = status()
    turns.overdue_at_s = time.monotonic() - 1
    assert failed(live(turns, time.monotonic()))
    turns.turn(MIDNIGHT - timedelta(days=1))
    assert failed(live(turns, time.monotonic() + TURN_WITHIN_S - A_MOMENT)) == []


def test_a_rabbitmq_that_blocks_publishers_keeps_one_alive_and_unready() -> None:
    blocked, later_s = status(), time.monotonic() + TURN_WITHIN_S + A_MOMENT
    blocked.blocked = "low on memory"
    assert failed(live(blocked, later_s)) == []
    [check] = failed(ready(blocked, later_s))
    assert (check.name, check.reason) == ("rabbitmq", "RabbitMQ has blocked publishers: low on memory")
    assert "rabbitmq-diagnostics alarms" in check.advice


@pytest.mark.parametrize("role", [Role.CONNECTING, Role.REFUSING, Role.STANDING_BY])
def test_one_without_a_connection_or_that_must_not_lead_lives_and_is_unready_with_the_reason(role: Role) -> None:
    now_s, kept = time.monotonic(), status(role, "the reason")
    assert failed(live(kept, now_s)) == []
    [check] = failed(ready(kept, now_s))
    assert check.name == "role"
    assert "the reason" in check.reason
    assert check.advice


def test_one_that_loses_its_connection_forgets_what_it_knew_by_that() -> None:
    lost = replace(status(), blocked="low on disk", skew=timedelta(hours=1))
    lost.enter(Role.CONNECTING, MIDNIGHT, "gone")
    assert (lost.blocked, lost.skew) == ("", None)


@pytest.mark.parametrize(
    ("skew", "ok", "words"),
    [
        (None, True, "not compared with RabbitMQ's"),
        (FURTHEST_OFF, True, "60.0 s ahead of RabbitMQ's"),
        (-FURTHEST_OFF, True, "60.0 s behind RabbitMQ's"),
        (FURTHEST_OFF + timedelta(seconds=1), False, "61.0 s ahead of RabbitMQ's, and 60 s is the limit"),
        (-timedelta(seconds=90), False, "90.0 s behind RabbitMQ's, and 60 s is the limit"),
    ],
)
def test_a_clock_that_is_too_far_off_makes_it_unready(skew: timedelta | None, ok: bool, words: str) -> None:
    off, now_s = status(), time.monotonic()
    off.skew = skew
    [check] = [check for check in ready(off, now_s) if check.name == "clock"]
    assert (check.ok, bool(check.advice)) == (ok, not ok)
    assert words in check.reason
    assert failed(live(off, now_s)) == []


def test_a_scheduled_queue_without_a_consumer_for_a_minute_is_named_with_its_schedules_and_what_to_do() -> None:
    leads, now_s = status(), time.monotonic()
    leads.overdue_at_s = now_s + 1_000
    leads.unconsumed = {
        "reports.quorum": Unconsumed("reports", now_s, ("a", "b", "c", "d", "e")),
        "default.quorum": Unconsumed("default", now_s + 1, ("f",)),
    }
    assert failed(ready(leads, now_s + UNCONSUMED_FOR_S - 0.1)) == []
    [check] = failed(ready(leads, now_s + UNCONSUMED_FOR_S))
    assert check.reason == (
        "queue 'reports.quorum' has had no consumer for 60 s; what enqueues there: a, b, c and 2 more"
    )
    assert "-Q reports;" in check.advice
    assert [each.name for each in failed(ready(leads, now_s + UNCONSUMED_FOR_S + 1))] == ["consumers"] * 2


def test_one_that_leads_no_more_has_no_say_on_consumers() -> None:
    now_s, led = time.monotonic(), status()
    led.unconsumed = {"reports": Unconsumed("reports", now_s - 100, ("a",))}
    assert [check.name for check in failed(ready(led, now_s))] == ["consumers"]
    led.enter(Role.STANDING_BY, MIDNIGHT)
    assert led.unconsumed == {}
    assert "consumers" not in {check.name for check in ready(led, now_s)}
