"""APScheduler, as it is without settings of its own: ``python -m benchmarks.periodic.apps.apscheduler``."""

import logging
import os
import threading

import pika
from apscheduler.schedulers.blocking import BlockingScheduler
from apscheduler.triggers.interval import IntervalTrigger
from pika.adapters.blocking_connection import BlockingChannel

from benchmarks.periodic.plan import QUEUE, Plan

PROPERTIES = pika.BasicProperties(delivery_mode=2)
_thread = threading.local()


def channel() -> BlockingChannel:
    """Return the channel of this thread, with confirms."""
    if not hasattr(_thread, "channel"):
        # In the threads of a pool nobody answers heartbeats between jobs.
        parameters = pika.URLParameters(os.environ["ACTORS_BROKER_URL"] + "?heartbeat=0")
        _thread.channel = pika.BlockingConnection(parameters).channel()
        _thread.channel.confirm_delivery()
    opened: BlockingChannel = _thread.channel
    return opened


def tick(number: int) -> None:
    channel().basic_publish("", os.environ[QUEUE], str(number).encode(), PROPERTIES, mandatory=True)


def main() -> None:
    # It has a line for each job that it leaves out.
    logging.disable(logging.CRITICAL)
    plan = Plan.read()
    scheduler = BlockingScheduler(timezone="UTC")
    for number in range(plan.schedules):
        trigger = IntervalTrigger(seconds=plan.every.total_seconds(), start_date=plan.first(number), timezone="UTC")
        scheduler.add_job(tick, trigger, args=(number,))
    scheduler.start()


if __name__ == "__main__":
    main()
