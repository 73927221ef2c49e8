"""Celery beat with RabbitMQ's confirms, and else as it is without settings of its own."""

import os

from celery import Celery, schedules  # type: ignore[import-not-found]
from kombu import Exchange, Queue  # type: ignore[import-not-found]

from benchmarks.periodic.plan import QUEUE, Plan

PLAN = Plan.read()
NAME = os.environ[QUEUE]

app = Celery(broker=os.environ["ACTORS_BROKER_URL"])
app.conf.broker_transport_options = {"confirm_publish": True}
app.conf.task_queues = [Queue(NAME, Exchange(""), NAME, no_declare=True)]
app.conf.task_default_queue = NAME
app.conf.task_default_exchange = ""
app.conf.task_default_routing_key = NAME
app.conf.beat_schedule = {
    f"s{number:05}": {
        "task": "tick",
        "args": (number,),
        "schedule": schedules.schedule(PLAN.every, app=app),
        "last_run_at": PLAN.last(number),
    }
    for number in range(PLAN.schedules)
}


@app.task(name="tick", ignore_result=True)  # type: ignore[untyped-decorator]
def tick(number: int) -> None: ...
