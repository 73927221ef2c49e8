"""Pitfall 3: actors bound to a default broker at import. The framework examples are in tests/integration/examples."""

import json
import os
import socket
import subprocess
import sys

import pika
import pytest

from actors.brokers.topology import Topology

DECLARED = """
import actors
import examples.shop.tasks

assert set(actors.broker.actors) == {"take_order", "charge", "reserve_stock", "send_receipt", "close_the_day"}
"""

CONFIGURED_BETWEEN = """
import sys
import actors

@actors.actor
def declared_before() -> None: ...

actors.configure(broker_url=sys.argv[1], queue_prefix=sys.argv[2])

@actors.actor
def declared_after() -> None: ...

declared_before.send()
declared_after.send()
"""


def test_p03_importing_actors_and_declaring_them_never_connects() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"amqp://guest:guest@127.0.0.1:{server.getsockname()[1]}/"
        subprocess.run([sys.executable, "-c", DECLARED], env=os.environ | {"ACTORS_BROKER_URL": url}, check=True)
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_p03_an_actor_may_be_declared_before_or_after_the_application_is_configured(
    broker_url: str, prefix: str
) -> None:
    nowhere = {"ACTORS_BROKER_URL": "amqp://guest:guest@nowhere.invalid/"}
    command = [sys.executable, "-c", CONFIGURED_BETWEEN, broker_url, prefix]
    subprocess.run(command, env=os.environ | nowhere, check=True)

    queue = Topology(prefix=prefix).work("default").name
    with pika.BlockingConnection(pika.URLParameters(broker_url)) as connection:
        channel = connection.channel()
        bodies = [channel.basic_get(queue, auto_ack=True)[2] for _ in range(3)]
    assert [body and json.loads(body)["actor_name"] for body in bodies] == ["declared_before", "declared_after", None]
