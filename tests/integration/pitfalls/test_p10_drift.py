"""Pitfall 10: cron and float-second schedules drift with the clock, and with each late wake-up."""

from datetime import datetime, timedelta
from typing import Any

from services.deadline import until
from tests.integration.periodic.shop import Shop, now

TASKS = """
    from datetime import UTC, datetime, timedelta
    from pathlib import Path

    from actors import actor
    from periodic import cron, every

    END = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=4)
    Path("end").write_text(END.isoformat())

    @actor(periodic={"half": every(seconds=0.5, end=END), "each": cron("* * * * * *", end=END)})
    def pulse() -> None: ...
"""

SECOND = timedelta(seconds=1)


def test_p10_ticks_of_a_leader_that_is_late_are_on_the_grid_and_status_shows_how_late(shop: Shop) -> None:
    shop.project.write("shop_tasks", TASKS)
    with shop.leading() as log:
        end = datetime.fromisoformat((shop.project.folder / "end").read_text())
        shop.wait_for_ticks(1)
        until(lambda: now() > end - 1.5 * SECOND, seconds=20, what="the last ticks")
        # Given a leader that does not wake up for these
        with shop.frozen(log):
            until(lambda: now() > end + SECOND / 4, seconds=20, what="the end")
            thawed = now()
        status = until(lambda: status_at(shop, end - SECOND / 2), seconds=20, what="the last tick")
        ticks = shop.enqueued()

    # Then their times are those that the schedules say, and it is known how late the newest was
    for name, interval in (("half", SECOND / 2), ("each", SECOND)):
        times = [tick.time for tick in ticks if tick.schedule == name]
        assert times == [end - number * interval for number in range(len(times), 0, -1)]
    lateness = timedelta(milliseconds=status["leader"]["lateness_ms"])
    assert lateness >= thawed - max(tick.time for tick in ticks)


def status_at(shop: Shop, mark: datetime) -> Any:
    """What ``periodic status`` shows, if all ticks up to *mark* are out by then."""
    status = shop.json("status")
    return status if datetime.fromisoformat(status["watermark"]) == mark else None
