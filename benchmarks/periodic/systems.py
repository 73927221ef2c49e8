"""The systems that are compared: how their schedulers are run, and where in a message the number of its schedule is."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

APPS = "benchmarks.periodic.apps"


@dataclass(frozen=True)
class System:
    """A scheduler under a name.

    Attributes:
        name: what it is called in tables.
        command: runs it, in a folder of its own.
        number: returns the number of the schedule whose message this is.
    """

    name: str
    command: tuple[str, ...]
    number: Callable[[bytes], int]


OURS = System("ours", (sys.executable, "-m", "periodic", f"{APPS}.ours"), lambda body: int(json.loads(body)["args"][0]))
APSCHEDULER = System("APScheduler", (sys.executable, "-m", f"{APPS}.apscheduler"), int)


def celery_beat(python: Path) -> System:
    """Return Celery's scheduler as *python* has it."""
    command = (str(python), "-m", "celery", "-A", f"{APPS}.celery", "beat")
    return System("Celery beat", command, lambda body: int(json.loads(body)[0][0]))
