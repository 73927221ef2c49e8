"""Huey on one file, as it is without settings of its own but for ``fsync``; it has an environment of its own too."""

import os

from huey import SqliteHuey  # type: ignore[import-not-found]

from benchmarks.delays import arrivals
from benchmarks.embedded import marks
from benchmarks.embedded.systems import is_on

options = {"fsync": False} if is_on("UNSYNCED") else {}
huey = SqliteHuey(filename=os.environ["EMBEDDED_FILE"], **options)


@huey.task()  # type: ignore[untyped-decorator]
def noop(_: int) -> None:
    marks.ran()


@huey.task()  # type: ignore[untyped-decorator]
def arrive(number: int, sent: float) -> None:
    arrivals.note(number, sent)


def enqueue(number: int) -> None:
    noop(number)


def enqueue_timed(number: int, sent: float) -> None:
    arrive(number, sent)
