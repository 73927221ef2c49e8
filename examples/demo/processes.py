"""Two workers and the application: each a process of its own, which ends when the demo does."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import services
from examples.demo.place import Open, Place
from examples.shop import books
from services.deadline import until
from services.process import PrivateProcess
from services.warden import Warden

# Two commands, not two processes of one: Dramatiq stops the whole command when one of its processes dies.
VICTIM, SURVIVOR = WORKERS = ("worker 1", "worker 2")
WORKER = [sys.executable, "-m", "dramatiq", "actors", "examples.shop.tasks", "-p", "1", "-t", "8"]
APPLICATION = [sys.executable, "-m", "examples.shop.orders"]

# How long the keys of a dead worker are closed to the others; 30 s by default.
LEASE_MS = 2_000

READY = "Worker process is ready for action"
READY_SECONDS = 30


@dataclass(frozen=True)
class Shop:
    """What runs, where the jobs are, and the books that it writes and we read."""

    place: Place
    workers: dict[str, PrivateProcess]
    application: PrivateProcess
    books: Path


@contextmanager
def open_shop(orders: int, open_place: Open) -> Iterator[Shop]:
    """Open the place for the jobs; the workers, and the application that sends *orders* orders, are yet to be started.

    Raises:
        ServiceError: there is no RabbitMQ or no Redis to be had on this machine, or one did not start.
    """
    with ExitStack() as stack:
        warden = stack.enter_context(Warden("demo"))
        place = stack.enter_context(open_place(warden.folder))
        path = warden.folder / "books.db"
        books.counts(path)  # makes the file, which several processes would otherwise do at once
        env = {name: value for name, value in os.environ.items() if not name.startswith("ACTORS_")}
        env |= {**place.env, "ACTORS_IDEMPOTENCY_LEASE_MS": str(LEASE_MS), "SHOP_BOOKS": str(path)}

        def process(name: str, command: list[str]) -> PrivateProcess:
            return stack.enter_context(PrivateProcess(warden, name, command, env | {"SHOP_WORKER": name}))

        yield Shop(
            place,
            workers={name: process(name, WORKER) for name in WORKERS},
            application=process("application", [*APPLICATION, str(orders)]),
            books=path,
        )


def start_workers(shop: Shop) -> None:
    """Start the workers side by side, and return when all of them take messages.

    Raises:
        ServiceError: one ended, or was not ready within 30 s.
    """
    for worker in shop.workers.values():
        worker.start()
    for name, worker in shop.workers.items():
        until(partial(_ready, name, worker), seconds=READY_SECONDS, what=f"{name} takes messages")


def check_alive(name: str, process: PrivateProcess) -> None:
    """Do nothing, if *process* runs.

    Raises:
        ServiceError: it has ended; with the last of what it wrote.
    """
    if not process.alive():
        raise services.ServiceError(f"{name} has ended before its time; its log ends with:\n{process.log()}")


def _ready(name: str, worker: PrivateProcess) -> bool:
    check_alive(name, worker)
    return READY in worker.log()
