from datetime import UTC, datetime, timedelta
from typing import Any

from actors.dev.scheduler import LATE_S, MOST_TOLD, SOON_S, soonest, until_next

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)


def test_the_next_ticks_are_told_the_first_of_them_first() -> None:
    rows: list[dict[str, Any]] = [
        {"schedule": "late", "due": "2026-03-02T09:00:00+00:00"},
        {"schedule": "paused", "due": None},
        {"schedule": "soon", "due": "2026-03-01T09:00:00+00:00"},
    ]
    assert [each["schedule"] for each in soonest(rows)] == ["soon", "late"]
    assert len(soonest(rows * 100)) == MOST_TOLD


def test_it_looks_again_when_the_next_tick_has_come() -> None:
    def coming(seconds: float) -> list[dict[str, str]]:
        return [{"schedule": "s", "time": (NOW + timedelta(seconds=seconds)).isoformat()}]

    assert until_next(coming(5), NOW) == 5
    assert until_next(coming(-5), NOW) == SOON_S
    assert until_next(coming(3_600), NOW) == LATE_S
    assert until_next([], NOW) == LATE_S
