"""Pitfall 19: a naive or local eta, off by hours."""

import time
from datetime import datetime

from services.deadline import until
from tests.integration.project import Project

NAIVE = """
from datetime import datetime
from shop_tasks import charge
charge.send_with_options(args=(1,), eta=datetime(2030, 1, 1, 9))
"""

ZONES = """
import sys
from datetime import datetime
from zoneinfo import ZoneInfo
from shop_tasks import charge
for number, zone in enumerate(["UTC", "Asia/Shanghai", "America/Sao_Paulo"]):
    charge.send_with_options(args=(number,), eta=datetime.fromtimestamp(float(sys.argv[1]), ZoneInfo(zone)))
"""


def test_p19_a_naive_eta_is_refused_with_what_to_write_instead(project: Project) -> None:
    ended = project.python("-c", NAIVE)
    assert ended.returncode != 0
    assert "actor 'charge': eta=2030-01-01T09:00:00 has no time zone; use datetime.now(UTC)" in ended.stderr
    assert project.json("delayed", "list")["delayed"] == []


def test_p19_an_instant_is_the_same_in_every_zone_wherever_it_is_sent_from(project: Project) -> None:
    instant = int(time.time()) + 3_600
    assert project.python("-c", ZONES, str(instant), TZ="Asia/Tokyo").returncode == 0
    shown = [each["due"] for each in project.json("delayed", "list", TZ="America/New_York")["delayed"]]
    assert len(shown) == 3
    for due in shown:  # a delay is rounded up to a millisecond, and begins when its message has been encoded
        assert due.endswith("+00:00")
        assert 0 <= datetime.fromisoformat(due).timestamp() - instant < 5


def test_p19_no_eta_is_early_and_one_in_the_past_is_now(project: Project) -> None:
    with project.worker(TZ="Asia/Tokyo"):
        assert project.python("-c", ZONES, str(time.time() - 60)).returncode == 0
        until(lambda: sorted(project.ran()) == ["0", "1", "2"], seconds=20, what="what is due already")
        instant = time.time() + 3
        assert project.python("-c", ZONES, str(instant), TZ="America/New_York").returncode == 0
        until(lambda: len(project.ran()) > 3, seconds=20, what="what is due in three seconds")
        assert time.time() >= instant
        until(lambda: sorted(project.ran()) == ["0", "0", "1", "1", "2", "2"], seconds=20, what="all three")
