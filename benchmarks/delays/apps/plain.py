"""Plain Dramatiq, as it is without settings of its own."""

import os

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from benchmarks.delays import arrivals

dramatiq.set_broker(RabbitmqBroker(url=os.environ["ACTORS_BROKER_URL"]))


@dramatiq.actor(queue_name=f"{os.environ['ACTORS_QUEUE_PREFIX']}.default")
def arrive(number: int, due: float) -> None:
    arrivals.note(number, due)


def enqueue(number: int, due: float, delay_ms: int) -> None:
    arrive.send_with_options(args=(number, due), delay=delay_ms)
