from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pika import BasicProperties

from actors.brokers.hold import Hold
from actors.brokers.topology import HOLDS_MS

NOW = 1_767_225_600_000
YEAR_MS = 365 * 24 * 3600 * 1000


@pytest.mark.parametrize(
    ("left_ms", "hold_ms", "look_in_ms"),
    [
        (-5, 100, -5),
        (0, 100, 0),
        (1, 100, 1),
        (99, 100, 99),
        (100, 100, 100),
        (199, 100, 100),
        (200, 200, 200),
        (60_000, 51_200, 51_200),
        (10 * YEAR_MS, HOLDS_MS[-1], HOLDS_MS[-1]),
    ],
)
def test_a_message_waits_in_the_longest_hold_that_does_not_go_beyond_its_due_time(
    left_ms: int, hold_ms: int, look_in_ms: int
) -> None:
    assert Hold.until(NOW + left_ms, "money", now=NOW) == Hold(hold_ms, NOW + look_in_ms, NOW + left_ms, "money")


@given(st.integers(min_value=1, max_value=10 * YEAR_MS))
def test_a_message_is_looked_at_last_when_it_is_due_and_never_later(left_ms: int) -> None:
    due, now, looks = NOW + left_ms, NOW, 0

    while now < due:
        hold = Hold.until(due, "money", now=now)
        assert now < hold.look <= due
        now, looks = hold.look, looks + 1

    assert now == due
    assert looks <= len(HOLDS_MS) + left_ms // HOLDS_MS[-1] + 1


@given(st.lists(st.integers(min_value=100, max_value=YEAR_MS), min_size=2))
def test_no_message_waits_behind_one_of_its_hold_that_is_looked_at_later(lefts_ms: list[int]) -> None:
    """Messages that come to one hold queue in order of time are looked at in that order."""
    holds = [Hold.until(NOW + at + left_ms, "money", now=NOW + at) for at, left_ms in enumerate(lefts_ms)]

    for hold_ms in {hold.hold_ms for hold in holds}:
        looks = [hold.look for hold in holds if hold.hold_ms == hold_ms]
        assert looks == sorted(looks)


def test_a_hold_is_published_with_its_times_and_keeps_what_the_message_had() -> None:
    hold = Hold.until(NOW + 250, "money", now=NOW)
    before = BasicProperties(
        content_type="application/json",
        message_id="m1",
        priority=7,
        headers={"trace": "t1", "x-delivery-count": 3, "due": 1, "look": 1, "queue": "earlier"},
    )

    publication = hold.publication(b"{}", before, "hold.200.quorum")

    assert (publication.queue, publication.body) == ("hold.200.quorum", b"{}")
    properties = publication.properties
    assert (properties.message_id, properties.priority, properties.delivery_mode) == ("m1", 7, 2)
    assert properties.content_type == "application/json"
    assert properties.headers == {"trace": "t1", "due": NOW + 250, "look": NOW + 200, "queue": "money"}
