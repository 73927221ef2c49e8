"""Sends a plan's messages, in a process of its own: ``python -m benchmarks.delays.sending APP PLAN…``."""

import importlib
import sys
import threading
import time
from collections.abc import Callable, Sequence

from benchmarks.delays.plan import Delayed, Plan

THREADS = 8

Enqueue = Callable[[int, float, int], None]


def send(enqueue: Enqueue, messages: Sequence[Delayed], start: float) -> None:
    """Send each message at its time; *start* is in seconds since the Unix epoch."""
    for message in messages:
        time.sleep(max(0.0, start + message.at - time.time()))
        now = time.time()
        delay_ms = int((start + message.due - now) * 1000)
        if delay_ms <= 0:
            raise RuntimeError(f"message {message.number} was due before it could be sent")
        enqueue(message.number, now + delay_ms / 1000, delay_ms)


def main() -> None:
    """Send all of a plan, and print the seconds that it took."""
    app, *words = sys.argv[1:]
    enqueue: Enqueue = importlib.import_module(f"benchmarks.delays.apps.{app}").enqueue
    messages = list(Plan.read(words).messages())
    failures: list[BaseException] = []

    def run(part: Sequence[Delayed]) -> None:
        try:
            send(enqueue, part, start)
        except BaseException as error:
            failures.append(error)

    start = time.time()
    threads = [threading.Thread(target=run, args=[messages[offset::THREADS]]) for offset in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    print(time.time() - start)


if __name__ == "__main__":
    main()
