from datetime import UTC, datetime, timedelta

import pytest

from periodic import Spec, at, cron, every
from periodic.pace import Pace, pace_of

SATURDAY = datetime(2030, 1, 5, 12, 34, 56, tzinfo=UTC)


@pytest.mark.parametrize(
    ("spec", "pace"),
    [
        (every(seconds=59), Pace.SECONDS),
        (every(minutes=1), Pace.MINUTES),
        (cron("*/5 9-17 * * 1-5"), Pace.MINUTES),
        (every(minutes=60), Pace.HOURS),
        (cron("0 9,21 * * *"), Pace.HOURS),
        (every(hours=24), Pace.DAYS),
        (cron("0 9 29 2 *"), Pace.DAYS),
        (at(SATURDAY), Pace.DAYS),
        (at(SATURDAY - timedelta(days=400)), Pace.DAYS),
    ],
    ids=str,
)
def test_the_pace_is_how_often_a_schedule_fires_when_it_does(spec: Spec, pace: Pace) -> None:
    assert pace_of(spec.trigger, SATURDAY) is pace
