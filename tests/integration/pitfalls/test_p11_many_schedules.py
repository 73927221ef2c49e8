"""Pitfall 11: over a hundred scheduled jobs a second is too much for one process."""

from collections import Counter
from datetime import timedelta

from tests.integration.periodic.shop import Shop

TASKS = """
    from actors import actor
    from periodic import cron, every

    OFTEN = {f"often{number:03}": every(seconds=1) for number in range(300)}
    DAILY = {f"daily{number:04}": cron("H H * * *", timezone="Europe/Berlin") for number in range(9_700)}

    @actor(periodic=OFTEN | DAILY)
    def sync() -> None: ...
"""

OFTEN = {f"often{number:03}" for number in range(300)}


def test_p11_one_process_leads_10_000_schedules_and_300_ticks_of_one_second_are_all_enqueued(shop: Shop) -> None:
    shop.project.write("shop_tasks", TASKS)
    with shop.leading():
        shop.wait_for_ticks(len(OFTEN) + 1)
        page = shop.json("list", "--limit", "1000", "--after", "daily9699", ACTORS_MODULES="")
    assert {row["schedule"] for row in page["schedules"]} == OFTEN
    assert page["next"] is None

    # Whatever else is due by now, it is once a day.
    copies = Counter((tick.schedule, tick.time) for tick in shop.enqueued() if tick.schedule in OFTEN)
    assert set(copies.values()) == {1}
    seconds = sorted({time for _, time in copies})
    assert seconds == [seconds[0] + number * timedelta(seconds=1) for number in range(len(seconds))]
    assert all({name for name, time in copies if time == second} == OFTEN for second in seconds[:-1])
