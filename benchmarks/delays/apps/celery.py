"""Celery, as it is without settings of its own; it has an environment of its own too."""

import os

from celery import Celery  # type: ignore[import-not-found]

from benchmarks.delays import arrivals

app = Celery(broker=os.environ["ACTORS_BROKER_URL"])
app.conf.task_default_queue = f"{os.environ['ACTORS_QUEUE_PREFIX']}.celery"
arrive = app.task(arrivals.note, name="arrive", ignore_result=True)


def enqueue(number: int, due: float, delay_ms: int) -> None:
    arrive.apply_async((number, due), countdown=delay_ms / 1000)
