"""Pitfall 15: schedulers and timers that live in a web server, which forks and reloads. Ours only enqueues."""

import json
import os
import subprocess
import sys

import pika

from actors.brokers.topology import Topology

IMPORTED = """
import sys
import threading
import actors
import periodic
import examples.shop.orders

assert threading.enumerate() == [threading.main_thread()]
assert not [name for name in sys.modules if name.startswith("apscheduler")]
"""

# As gunicorn does with --preload, where the application has sent before its workers are forked.
FORKED = """
import os
import sys
from actors import actor

@actor
def note(sender: str, number: int) -> None: ...

def send(sender: str) -> None:
    for number in range(50):
        note.send(sender, number)

send("before")
children = []
for sender in ("first child", "second child"):
    children.append(os.fork())
    if children[-1] == 0:
        send(sender)
        sys.exit()
send("parent")
for child in children:
    assert os.waitpid(child, 0)[1] == 0
send("after")
"""


def test_p15_importing_actors_and_periodic_starts_no_thread_and_no_scheduler() -> None:
    subprocess.run([sys.executable, "-c", IMPORTED], check=True)


def test_p15_an_application_that_forks_sends_from_parent_and_children_exactly_once(
    broker_url: str, prefix: str
) -> None:
    env = os.environ | {"ACTORS_BROKER_URL": broker_url, "ACTORS_QUEUE_PREFIX": prefix}
    subprocess.run([sys.executable, "-c", FORKED], env=env, check=True, timeout=60)

    senders = ("before", "first child", "second child", "parent", "after")
    assert sorted(arrived(broker_url, prefix)) == sorted((sender, n) for sender in senders for n in range(50))


def arrived(broker_url: str, prefix: str) -> list[tuple[str, int]]:
    queue = Topology(prefix=prefix).work("default").name
    found = []
    with pika.BlockingConnection(pika.URLParameters(broker_url)) as connection:
        channel = connection.channel()
        while (body := channel.basic_get(queue, auto_ack=True)[2]) is not None:
            sender, number = json.loads(body)["args"]
            found.append((sender, number))
    return found
