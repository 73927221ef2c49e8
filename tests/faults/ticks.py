"""Schedules that the fault tests run in real schedulers, and what their jobs did in real workers.

Of which schedules there are, and how often they tick, ``TICKS`` says as JSON; see :class:`Plan`. An executed tick is a
line in the file that ``JOURNAL`` names, where no fault reaches; a line of less than a page is written whole or not.
"""

import json
import os
from dataclasses import asdict, dataclass
from datetime import timedelta

from actors import actor
from middleware.attempt import current
from periodic import Spec, every


@dataclass(frozen=True)
class Plan:
    """A version of the code.

    Attributes:
        first, last: the numbers of its first schedule, and of the one after its last.
        every_ms: how often each of them ticks, in milliseconds.
        argument: what their jobs are called with, so that versions differ in more than in which schedules they have.
    """

    first: int = 0
    last: int = 100
    every_ms: int = 100
    argument: str = ""

    @property
    def a_second(self) -> float:
        return (self.last - self.first) * 1000 / self.every_ms

    def specs(self) -> list[Spec]:
        """Its schedules. They catch up with whatever a slow machine has left for later."""
        interval, catch_up = timedelta(milliseconds=self.every_ms), timedelta(hours=1)
        return [
            every(interval, name=f"s{number:05}", args=(self.argument,), catch_up=catch_up)
            for number in range(self.first, self.last)
        ]

    def env(self) -> dict[str, str]:
        return {"TICKS": json.dumps(asdict(self))}


PLAN = Plan(**json.loads(os.environ.get("TICKS", '{"last": 0}')))


@actor(actor_name="faults_tick", max_retries=0, periodic=PLAN.specs())
def tick(argument: str) -> None:
    """Append a line to the journal."""
    options = current().message.options["tick"]
    line = f"{options['schedule']} {options['time']} {current().maybe_ran}\n"
    descriptor = os.open(os.environ["JOURNAL"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)
