"""Actors of an application that moves from a file to RabbitMQ; they write what they did where no fault reaches."""

from actors import actor
from tests.faults.jobs import record


@actor(actor_name="outgrown_guarded", max_retries=0)
def guarded(number: int) -> None:
    """Append a line to the journal; copies of a message are one."""
    record.fn(number)


@actor(actor_name="outgrown_plain", max_retries=0, idempotent=False)
def plain(number: int) -> None:
    """Do what ``guarded`` does; a copy of a message would do it again."""
    record.fn(number)
