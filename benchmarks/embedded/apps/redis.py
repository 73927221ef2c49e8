"""Plain Dramatiq on Redis, as it is without settings of its own."""

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from benchmarks.delays import arrivals
from benchmarks.embedded import marks

dramatiq.set_broker(RedisBroker(url=os.environ["EMBEDDED_REDIS"]))


@dramatiq.actor
def noop(_: int) -> None:
    marks.ran()


@dramatiq.actor
def arrive(number: int, sent: float) -> None:
    arrivals.note(number, sent)


def enqueue(number: int) -> None:
    noop.send(number)


def enqueue_timed(number: int, sent: float) -> None:
    arrive.send(number, sent)
