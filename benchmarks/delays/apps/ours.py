"""This project, as it is without settings of its own."""

from actors import actor
from benchmarks.delays import arrivals


@actor
def arrive(number: int, due: float) -> None:
    arrivals.note(number, due)


def enqueue(number: int, due: float, delay_ms: int) -> None:
    arrive.send_with_options(args=(number, due), delay=delay_ms)
