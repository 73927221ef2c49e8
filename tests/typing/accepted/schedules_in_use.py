"""What the type checker accepts: every way to say when an actor runs by itself."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import assert_type
from zoneinfo import ZoneInfo

from actors import actor, broker
from periodic import Schedule, Spec, Tick, at, cron, every, schedules, trigger


@actor(periodic=cron("0 9 * * 1-5", timezone="Asia/Shanghai"))
def report() -> None: ...


@actor(
    periodic=[
        cron("30 2 * * *", timezone=ZoneInfo("Europe/Berlin"), gap="skip", repeat="both", name="nightly"),
        every(minutes=5, seconds=0.5, name="often"),
        every(timedelta(hours=1), start=datetime(2026, 1, 1, tzinfo=UTC), name="hourly"),
        at(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC), name="new-year"),
    ]
)
def clean(days: int = 30) -> None: ...


class EveryHour:
    """What a trigger of APScheduler's looks like to the type checker."""

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        return now


@actor(periodic={"hourly": EveryHour(), "daily": cron("@daily"), "named": trigger(EveryHour(), overlap="queue_one")})
async def fetch(url: str = "") -> bytes:
    return url.encode()


@actor(
    periodic=cron(
        "H 3 * * *",
        args=(1,),
        kwargs={"draft": True},
        queue="slow",
        priority=5,
        jitter=timedelta(minutes=5),
        catch_up=60_000,
        coalesce=False,
        cap=10,
        overlap="skip",
        end=datetime(2030, 1, 1, tzinfo=UTC),
    ),
    idempotency_key="bill:{account}",
)
def bill(account: int, *, draft: bool = False) -> str:
    return f"{account}"


@actor(periodic=None)
def never() -> None: ...


assert_type(cron("@daily"), Spec)
assert_type(schedules(broker), dict[str, Schedule])
assert_type(schedules(broker)["report"].ticks_after(datetime.now(UTC)), Iterator[Tick])
bill.send(1, draft=True)
