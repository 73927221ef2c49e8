"""This project, as it is without settings of its own."""

from actors import actor
from benchmarks.periodic.plan import Plan
from periodic import every

PLAN = Plan.read()


@actor(
    periodic=[
        every(PLAN.every, name=f"s{number:05}", args=(number,), start=PLAN.first(number))
        for number in range(PLAN.schedules)
    ]
)
def tick(number: int) -> None: ...
