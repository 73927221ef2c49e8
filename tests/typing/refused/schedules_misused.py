"""What the type checker refuses of schedules; each line says with which error codes."""

from datetime import datetime, timedelta

from actors import actor
from periodic import at, cron, every, trigger

cron(5)  # E: arg-type
cron("@daily", timezone=2)  # E: arg-type
cron("@daily", gap="ends")  # E: arg-type
cron("@daily", repeat="second")  # E: arg-type
cron("@daily", overlap="skp")  # E: arg-type
cron("@daily", jiter=5)  # E: call-arg
cron("@daily", jitter="5s")  # E: arg-type
cron("@daily", start="2026-01-01")  # E: arg-type
cron("@daily", coalesce="no")  # E: arg-type
every(300)  # E: arg-type
every(minutes="5")  # E: arg-type
every(timedelta(hours=1), minuts=5)  # E: call-arg
at("2026-01-01")  # E: arg-type
at(datetime(2026, 1, 1), overlap=True)  # E: arg-type
trigger("0 9 * * *")  # E: arg-type


@actor(periodic="0 9 * * *")  # E: arg-type
def text_for_a_schedule() -> None: ...


@actor(periodic=[cron("@daily", name="nightly"), timedelta(hours=1)])  # E: list-item
def interval_for_a_schedule() -> None: ...


@actor(periodik=cron("@daily"))  # E: call-overload, untyped-decorator
def unknown_option() -> None: ...
