"""Which jobs began and which ended, and what is said of those that are dead."""

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pika

from actors.brokers.buried import exhume
from middleware import Letter


def note(event: str, key: str) -> None:
    """Append a line to the file that ``EFFECTS`` names; one of less than a page is written whole or not at all."""
    descriptor = os.open(os.environ["EFFECTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, f"{event} {key}\n".encode())
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class Toll:
    """The lines that actors have noted: ``begin KEY`` and ``end KEY``."""

    path: Path

    @property
    def begun(self) -> Counter[str]:
        """How often each job began."""
        return self._count("begin")

    @property
    def ended(self) -> Counter[str]:
        """How often each job came to its end."""
        return self._count("end")

    def _count(self, event: str) -> Counter[str]:
        # A reader can come upon the first half of a line that goes over the end of a page.
        text = self.path.read_text() if self.path.exists() else ""
        lines = (line.split(" ", 1) for line in text.rpartition("\n")[0].splitlines())
        return Counter(key for each, key in lines if each == event)


@dataclass(frozen=True)
class Grave:
    """A dead letter as RabbitMQ has it."""

    letter: Letter
    properties: pika.BasicProperties
    body: bytes


def graves(url: str, dead_queue: str) -> list[Grave]:
    """Return all that is in *dead_queue*, where it stays."""
    found = list[Grave]()
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        while True:
            method, properties, body = channel.basic_get(dead_queue)
            if method is None:
                return found
            assert "dead_letter" in (properties.headers or {}), body
            found.append(Grave(exhume(properties, body, "default"), properties, body))
