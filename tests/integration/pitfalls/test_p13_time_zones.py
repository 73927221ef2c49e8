"""Pitfall 13: a server's time zone is wrong, datetimes are naive, and changes of clocks lose or double a job."""

from datetime import UTC, datetime, timedelta

from tests.integration.periodic.shop import Shop, now

TASKS = """
    from actors import actor
    from periodic import cron, every

    @actor(periodic={
        "backup": cron("30 2 * * *", timezone="Europe/Berlin"),
        "pulse": every(seconds=0.5),
        "report": cron("0 9 * * *", timezone="Asia/Shanghai"),
    })
    def job() -> None: ...
"""

NAIVE = """
    from datetime import datetime

    from actors import actor
    from periodic import at

    @actor(periodic=at(datetime(2030, 1, 1, 9), name="new year"))
    def greet() -> None: ...
"""

# Half a day ahead
WRONG = "Pacific/Auckland"


def test_p13_each_schedule_goes_by_its_own_zone_whatever_that_of_the_server_is(shop: Shop) -> None:
    shop.project.write("shop_tasks", TASKS)
    with shop.leading(TZ=WRONG):
        shop.wait_for_ticks(1)
        rows = {row["schedule"]: row for row in shop.json("list", TZ=WRONG)["schedules"]}
        [newest, *_] = reversed(shop.enqueued())
        assert abs(now() - newest.time) < timedelta(minutes=5)
    zones = {name: row["timezone"] for name, row in rows.items()}
    assert zones == {"backup": "Europe/Berlin", "pulse": "UTC", "report": "Asia/Shanghai"}
    assert datetime.fromisoformat(rows["report"]["next"]).astimezone(UTC).hour == 1


def test_p13_what_changes_of_clocks_do_is_shown_before_it_happens(shop: Shop) -> None:
    shop.project.write("shop_tasks", TASKS)
    year = ("--from", "2026-01-01T00:00:00Z", "--to", "2027-01-01T00:00:00Z", "--limit", "400")
    lines = shop.json("preview", "backup", *year, TZ=WRONG)["lines"]

    # It fires once a day, and it is said what becomes of a time that the clocks leave out, or show twice
    days = [line["local"][:10] for line in lines if line["time"]]
    assert len(set(days)) == len(days) == 365
    assert [(line["local"], line["time"]) for line in lines if line["note"]] == [
        ("2026-03-29T03:00:00+02:00", "2026-03-29T01:00:00+00:00"),
        ("2026-10-25T02:30:00+02:00", "2026-10-25T00:30:00+00:00"),
        ("2026-10-25T02:30:00+01:00", None),
    ]


def test_p13_a_naive_datetime_is_refused_with_what_to_write(shop: Shop) -> None:
    shop.project.write("shop_tasks", NAIVE)
    problem = shop.says("run", status=2)
    assert "periodic 'new year': moment=datetime.datetime(2030, 1, 1, 9, 0) has no time zone; use datetime(" in problem
