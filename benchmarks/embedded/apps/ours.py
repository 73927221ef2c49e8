"""This project on one file, as it is without settings of its own."""

from collections.abc import Iterable

from actors import actor, enqueue_many
from benchmarks.delays import arrivals
from benchmarks.embedded import marks
from benchmarks.embedded.systems import is_on

IDEMPOTENT = not is_on("UNGUARDED")


@actor(idempotent=IDEMPOTENT)
def noop(_: int) -> None:
    marks.ran()


@actor(idempotent=IDEMPOTENT)
def arrive(number: int, sent: float) -> None:
    arrivals.note(number, sent)


def enqueue(number: int) -> None:
    noop.send(number)


def enqueue_timed(number: int, sent: float) -> None:
    arrive.send(number, sent)


def fill(numbers: Iterable[int]) -> None:
    enqueue_many(noop.message(number) for number in numbers)
