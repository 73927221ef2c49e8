"""Enqueues jobs, in a process of its own: ``python -m benchmarks.embedded.sending APP HOW FIRST COUNT``."""

import importlib
import sys
import time
from collections.abc import Callable
from types import ModuleType

RATE = 50


def each(app: ModuleType, numbers: range) -> None:
    """One by one, from one thread."""
    for number in numbers:
        app.enqueue(number)


def many(app: ModuleType, numbers: range) -> None:
    """All at once, where the system can."""
    app.fill(numbers)


def timed(app: ModuleType, numbers: range) -> None:
    """At a steady rate, each with the time before it is sent, in seconds since the Unix epoch."""
    start = time.time()
    for index, number in enumerate(numbers):
        time.sleep(max(0.0, start + index / RATE - time.time()))
        app.enqueue_timed(number, time.time())


HOW: dict[str, Callable[[ModuleType, range], None]] = {"each": each, "many": many, "timed": timed}


def main() -> None:
    """Enqueue the jobs, and print how many seconds the second and all that follow took."""
    name, how, first, count = sys.argv[1:]
    app = importlib.import_module(f"benchmarks.embedded.apps.{name}")
    numbers = range(int(first), int(first) + int(count))
    HOW[how](app, numbers[:1])
    start = time.perf_counter()
    HOW[how](app, numbers[1:])
    print(time.perf_counter() - start)


if __name__ == "__main__":
    main()
