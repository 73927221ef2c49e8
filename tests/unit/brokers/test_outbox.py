"""What follows an attempt and is no actor's message: a record of a run."""

from typing import Any

import dramatiq
from dramatiq.middleware import Middleware
from pika import BasicProperties

from actors.brokers.dispatch import Dispatch
from actors.brokers.outgoing import Following
from actors.brokers.publisher import Publication


class Delivery(dramatiq.MessageProxy):
    """A delivery as the RabbitMQ broker's consumer makes them, with a record in its outbox."""

    def __init__(self) -> None:
        super().__init__(dramatiq.Message("default", "charge", (), {}, {}))
        self.requeue = False
        publication = Publication("periodic.runs.days", b"", BasicProperties(message_id=self.message_id))
        self.outbox: list[Any] = [Following(None, publication)]


class Raising(Middleware):
    """Raises from its after-hook."""

    def after_process_message(self, *_: Any, **__: Any) -> None:
        raise ValueError("no")


def test_a_record_is_no_retry_though_the_attempt_has_nothing_else_that_follows() -> None:
    message = Delivery()
    Dispatch(middleware=[Raising()]).emit_after("process_message", message, exception=ValueError("why"))
    assert message.failed
