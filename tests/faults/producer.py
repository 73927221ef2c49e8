"""Sends numbers to the actor ``record``, and notes what each send said."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import dramatiq

from actors.brokers.rabbitmq import RabbitmqBroker
from actors.errors import EnqueueError


@dataclass
class Producer:
    """Sends numbers from several threads, and notes which were confirmed, and which were refused and how.

    A number that is sent again is the same message.
    """

    broker: RabbitmqBroker
    confirmed: set[int] = field(default_factory=set)
    maybe: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    _messages: dict[int, dramatiq.Message[Any]] = field(default_factory=dict)

    def send(self, number: int, *, delay_ms: int | None = None) -> None:
        message = self._messages.setdefault(number, self.broker.get_actor("record").message(number))
        try:
            self.broker.enqueue(message, delay=delay_ms)
        except EnqueueError as error:
            (self.maybe if error.maybe_enqueued else self.refused).add(number)
        else:
            self.confirmed.add(number)

    def start(self, numbers: range, *, threads: int, each_s: float) -> Callable[[], None]:
        """Send *numbers*, pausing *each_s* seconds after each; return a function that waits for the end."""

        def run(part: range) -> None:
            for number in part:
                self.send(number)
                time.sleep(each_s)

        senders = [threading.Thread(target=run, args=[numbers[offset::threads]]) for offset in range(threads)]
        for sender in senders:
            sender.start()

        def wait() -> None:
            for sender in senders:
                sender.join(120)

        return wait

    @property
    def answered(self) -> int:
        return len(self.confirmed) + len(self.maybe) + len(self.refused)
