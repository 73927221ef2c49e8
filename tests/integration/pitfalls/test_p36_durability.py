"""Pitfall 36: messages are not durable."""

from typing import Any

import pika
import pytest

import services
from actors.brokers.topology import Topology
from services.deadline import until
from tests.integration.project import Project


@pytest.mark.parametrize("queue_type", ["quorum", "classic"])
def test_p36_every_queue_is_durable_and_of_the_type_asked_for(
    project: Project, rabbitmq_server: services.RabbitMQ, queue_type: str
) -> None:
    with project.worker(ACTORS_QUEUE_TYPE=queue_type):
        until(lambda: len(queues(rabbitmq_server, project.prefix)) == 33, seconds=20, what="all queues")
        found = queues(rabbitmq_server, project.prefix)
    # The one by which the relay is asked what it keeps, which has no messages and goes with it.
    (asked,) = [name for name in found if name.startswith(f"{project.prefix}.relay.")]
    del found[asked]
    # Work and dead letters of two logical queues, and 28 hold queues.
    assert set(found.values()) == {("true", queue_type)}


@pytest.mark.parametrize("delay", [[], ["--delay", "1h"]])
def test_p36_every_message_is_persistent(project: Project, delay: list[str]) -> None:
    project.actors("send", "charge", "--args", "[1]", *delay)
    topology = Topology("quorum", project.prefix)
    candidates = [topology.work("default"), *topology.holds().values()]
    with pika.BlockingConnection(pika.URLParameters(project.env["ACTORS_BROKER_URL"])) as connection:
        got = [message for queue in candidates if (message := get(connection, queue.name)) is not None]
    assert [properties.delivery_mode for properties in got] == [2]


def test_p36_a_send_that_is_not_confirmed_is_an_error(project: Project) -> None:
    ended = project.actors(
        "send",
        "charge",
        "--args",
        "[1]",
        ACTORS_BROKER_URL="amqp://guest:guest@127.0.0.1:1/",
        ACTORS_PUBLISH_TIMEOUT_MS="500",
    )
    assert ended.returncode == 3
    assert "not confirmed" in ended.stderr


def queues(server: services.RabbitMQ, prefix: str) -> dict[str, tuple[str, str]]:
    """Whether each queue is durable, and its type, which RabbitMQ 3 calls ``rabbit_quorum_queue``."""
    rows = [line.split("\t") for line in server.ctl("list_queues", "name", "durable", "type").splitlines()]
    return {
        name: (durable, kind.removeprefix("rabbit_").removesuffix("_queue"))
        for name, durable, kind in rows
        if name.startswith(prefix)
    }


def get(connection: pika.BlockingConnection, queue: str) -> Any:
    channel = connection.channel()
    try:
        _, properties, _ = channel.basic_get(queue, auto_ack=True)
    except pika.exceptions.ChannelClosedByBroker:
        return None
    return properties
