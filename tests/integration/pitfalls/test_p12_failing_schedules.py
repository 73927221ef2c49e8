"""Pitfall 12: one exception ends the loop, SIGTERM leaves a mess, and there are no logs."""

from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path

from periodic.tick import Tick
from services.deadline import until
from tests.integration.periodic.shop import Shop, now

TASKS = """
    from datetime import timedelta
    from pathlib import Path

    import dramatiq
    from apscheduler.triggers.base import BaseTrigger
    from dramatiq.middleware import Middleware, MiddlewareError

    from actors import actor
    from periodic import every

    TENTH = timedelta(seconds=0.1)

    class Holidays(BaseTrigger):
        def __getstate__(self):
            return {}

        def get_next_fire_time(self, previous, now):
            if Path("broken").exists():
                raise OSError("no calendar")
            return now + TENTH - timedelta(microseconds=now.microsecond % 100_000)

    class Quota(Middleware):
        def before_enqueue(self, broker, message, delay):
            if message.actor_name == "paid" and Path("broken").exists():
                raise MiddlewareError("quota exceeded")

    dramatiq.get_broker().add_middleware(Quota())

    @actor(periodic=Holidays())
    def dated() -> None: ...

    @actor(periodic=every(TENTH))
    def paid() -> None: ...

    @actor(periodic=every(TENTH))
    def plain() -> None: ...
"""


TENTH = timedelta(seconds=0.1)
NAMES = {"dated", "paid", "plain"}


def log_says(log: Path, text: str) -> None:
    until(lambda: text in log.read_text(), seconds=20, what=text)


def test_p12_schedules_that_fail_are_logged_shown_and_retried_alone_and_sigterm_hands_on(shop: Shop) -> None:
    shop.project.write("shop_tasks", TASKS)
    broken = shop.project.folder / "broken"
    with ExitStack() as first, ExitStack() as second:
        log = first.enter_context(shop.leading())
        standby = second.enter_context(shop.scheduler())
        shop.wait_for_ticks(3)

        # When two schedules fail, one because of its messages, one because of its trigger
        broken.touch()
        log_says(log, "schedule 'paid' fails")
        log_says(log, "schedule 'dated' fails")
        shop.wait_for_ticks(5)
        failing = shop.json("status", ACTORS_MODULES="")["leader"]["failing"]
        assert failing == {
            "dated": "TriggerError: shop_tasks.Holidays({}) failed: OSError: no calendar",
            "paid": "MiddlewareError: quota exceeded",
        }
        assert "Traceback" in log.read_text()
        ticks = shop.enqueued()
        assert {tick.schedule for tick in ticks[-5:]} == {"plain"}

        # And the leader, which ends with status 0, is followed by another
        broken.unlink()
        first.close()
        log_says(standby, "leads from")
        led = now()
        until(lambda: all_later_than(led, ticks, shop), seconds=20, what="new ticks of all schedules")

    # Then none is missing, and none doubled
    for name in NAMES:
        times = [tick.time for tick in ticks if tick.schedule == name]
        assert times == [times[0] + number * TENTH for number in range(len(times))]


def all_later_than(moment: datetime, ticks: list[Tick], shop: Shop) -> bool:
    """Whether each schedule has a tick later than *moment*, once those that are enqueued are among *ticks*."""
    ticks += shop.enqueued()
    return {tick.schedule for tick in ticks if tick.time > moment} == NAMES
