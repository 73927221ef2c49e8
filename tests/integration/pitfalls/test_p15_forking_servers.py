"""Pitfall 15: schedulers and timers that live in a web server, which forks and reloads. Ours only enqueues."""

import json
import os
import subprocess
import sys

import pika

from actors.brokers.topology import Topology
from tests.integration.periodic.shop import Shop

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


TICKING = """
    from actors import actor
    from periodic import every

    @actor(periodic=every(seconds=0.1))
    def pulse() -> None: ...

    @actor
    def charge(order_id: int) -> None: ...
"""

# As a server with three workers that has served for half a second.
SERVED = """
import os
import sys
import threading
import time
from shop_tasks import charge

children = []
for order_id in range(3):
    children.append(os.fork())
    if children[-1] == 0:
        charge.send(order_id)
        time.sleep(0.5)
        sys.exit([thread for thread in threading.enumerate() if "periodic" in thread.name] or 0)
for child in children:
    assert os.waitpid(child, 0)[1] == 0
assert "periodic.scheduler" not in sys.modules
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


def test_p15_the_processes_of_a_server_enqueue_no_tick_and_the_scheduler_does(shop: Shop) -> None:
    shop.project.write("shop_tasks", TICKING)
    # Python of its own: what another has imported is what this is about.
    subprocess.run(
        [sys.executable, "-c", SERVED], cwd=shop.project.folder, env=shop.project.env, check=True, timeout=60
    )
    assert shop.waiting() == 3

    with shop.leading():
        shop.wait_for_ticks(3)


def arrived(broker_url: str, prefix: str) -> list[tuple[str, int]]:
    queue = Topology(prefix=prefix).work("default").name
    found = []
    with pika.BlockingConnection(pika.URLParameters(broker_url)) as connection:
        channel = connection.channel()
        while (body := channel.basic_get(queue, auto_ack=True)[2]) is not None:
            sender, number = json.loads(body)["args"]
            found.append((sender, number))
    return found
