"""What is in the dead letters of an application."""

from typing import Any

import dramatiq
import pika

from actors.brokers.topology import Topology
from tests.integration.project import Project


def dead_letters(project: Project, queue: str = "default") -> list[dramatiq.Message[Any]]:
    """Return the dead letters of *queue*, which stay where they are."""
    name = Topology("quorum", project.prefix).dead(queue).name
    found = []
    with pika.BlockingConnection(pika.URLParameters(project.env["ACTORS_BROKER_URL"])) as connection:
        channel = connection.channel()
        while (got := channel.basic_get(name))[0] is not None:
            found.append(dramatiq.Message.decode(got[2]))
    return found
