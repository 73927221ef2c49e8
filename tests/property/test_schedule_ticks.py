"""Ticks come in one order, which is the same whatever moment a replica starts from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise, takewhile

from hypothesis import given, settings
from hypothesis import strategies as st

from periodic import Schedule, Spec, Tick, at, cron, every

BEGIN = datetime(2026, 3, 6, tzinfo=UTC)
# With a change of the clocks in New York.
END = BEGIN + timedelta(days=4)

SPECS = st.sampled_from(
    [
        cron("*/7 * * * *", timezone="America/New_York"),
        cron("*/20 1-3 * * *", timezone="America/New_York"),
        cron("30 2 * * *", timezone="America/New_York"),
        cron("H */3 * * *"),
        cron("0,1 0 * * *"),
        every(minutes=13),
        every(hours=5, start=BEGIN + timedelta(minutes=1)),
        at(*(BEGIN + timedelta(minutes=number**3) for number in range(15))),
    ]
)
JITTERS = st.timedeltas(timedelta(), timedelta(days=1))
NAMES = st.text(min_size=1, max_size=5)


def ticks(schedule: Schedule, after: datetime, until: datetime = END) -> list[Tick]:
    return list(takewhile(lambda tick: tick.due < until, schedule.ticks_after(after)))


@settings(max_examples=150)
@given(spec=SPECS, jitter=JITTERS, name=NAMES)
def test_jitter_moves_each_tick_to_before_the_next_and_its_time_never(spec: Spec, jitter: timedelta, name: str) -> None:
    plain = ticks(spec.schedule(name, "report"), BEGIN)
    moved = ticks(spec.schedule(name, "report", jitter=jitter), BEGIN, END + jitter)

    assert [(tick.time, tick.id) for tick in moved if BEGIN < tick.time < END] == [
        (tick.time, tick.id) for tick in plain
    ]
    assert all(timedelta() <= tick.due - tick.time <= jitter for tick in moved)
    assert all(tick.due < following.time for tick, following in pairwise(moved))


@settings(max_examples=150)
@given(spec=SPECS, jitter=JITTERS, name=NAMES, data=st.data())
def test_from_any_moment_on_the_same_ticks_are_left(
    spec: Spec, jitter: timedelta, name: str, data: st.DataObject
) -> None:
    schedule = spec.schedule(name, "report", jitter=jitter)
    found = ticks(schedule, BEGIN)
    moments = st.sampled_from([tick.due for tick in found] or [BEGIN]) | st.datetimes(
        BEGIN.replace(tzinfo=None), END.replace(tzinfo=None)
    ).map(lambda moment: moment.replace(tzinfo=UTC))
    moment = data.draw(moments)

    assert ticks(schedule, moment) == [tick for tick in found if tick.due > moment]


@settings(max_examples=100)
@given(
    length=st.timedeltas(timedelta(seconds=1), timedelta(days=400)),
    moment=st.datetimes(datetime(1980, 1, 1), datetime(2040, 1, 1)),
)
def test_an_interval_divides_all_time_since_1970(length: timedelta, moment: datetime) -> None:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    first, second = (
        time for time, _ in zip(every(length).trigger.after(moment.replace(tzinfo=UTC)), range(2), strict=False)
    )

    assert (first - epoch) % length == timedelta()
    assert timedelta() < first - moment.replace(tzinfo=UTC) <= length
    assert second - first == length
