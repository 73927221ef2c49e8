"""Gives back what a worker has taken and not begun, while it still runs something."""

from __future__ import annotations

from collections import defaultdict

import dramatiq
from dramatiq.common import iter_queue

from actors.brokers.consumer import Consumer
from actors.brokers.sqlite.consumer import Consumer as SqliteConsumer


def give_back(worker: dramatiq.Worker) -> None:
    """Let the consumers of *worker*, whose threads begin nothing more, take nothing more, and give back what they have.

    To be called again, as some of it may be on its way.
    """
    consumers = {name: thread.consumer for name, thread in list(worker.consumers.items())}
    for consumer in consumers.values():
        if isinstance(consumer, Consumer | SqliteConsumer):
            consumer.take_no_more()
    messages: dict[str, list[dramatiq.MessageProxy]] = defaultdict(list)
    for item in iter_queue(worker.work_queue):
        messages[item.message.queue_name].append(item.message)
    for queue_name, of_queue in messages.items():
        consumer = consumers[queue_name]
        if consumer is not None:
            consumer.requeue(of_queue)
