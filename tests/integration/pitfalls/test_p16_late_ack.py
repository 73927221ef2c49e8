"""Pitfall 16: an early ack loses what a crash interrupts; a late one, with a large prefetch, doubles the rest."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import services
from middleware.stores import pages
from middleware.stores.redis import RedisStore
from services.deadline import until
from tests.integration.project import Project
from tests.warm import Forked, warm

TASKS = """
    import time
    from pathlib import Path

    from actors import actor
    from middleware import current

    def note(text: str) -> None:
        with Path("notes").open("a") as notes:
            notes.write(f"{text}\\n")

    @actor
    def pack(order_id: int) -> None:
        note(f"begin {order_id} {current().maybe_ran}")
        while order_id == 3 and not current().maybe_ran:
            time.sleep(0.05)
        note(f"end {order_id}")
"""

SEND = """
from actors import enqueue_many
from crash_tasks import pack
enqueue_many([pack.message(number).copy(message_id=f"pack-{number}") for number in range(10)])
"""

ENV = {"ACTORS_MODULES": "shop_tasks,crash_tasks", "ACTORS_IDEMPOTENCY_LEASE_MS": "1000", "ACTORS_PREFETCH": "100"}


@contextmanager
def worker_group(project: Project, **env: str) -> Iterator[Forked]:
    """A worker of one thread, whose process group is its own, to kill and to freeze; killed at the end."""
    before = project.consumers(**env)
    command = ("-m", "dramatiq", "actors", "--processes", "1", "--threads", "1")
    process = warm().start(*command, env=project.env | env, log=project.folder / "killed.log", cwd=project.folder)
    try:
        until(lambda: project.consumers(**env) == before + 2, seconds=30, what="the worker's consumers")
        yield process
    finally:
        process.kill_group()
        process.wait()
        until(lambda: project.consumers(**env) <= before, seconds=20, what="RabbitMQ to notice")


def notes(project: Project) -> list[str]:
    file = project.folder / "notes"
    return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def crashed(project: Project) -> Project:
    """An application whose worker was killed in the fourth of ten jobs; it had taken all of them."""
    project.write("crash_tasks", TASKS)
    with worker_group(project, **ENV):
        assert project.python("-c", SEND, **ENV).returncode == 0
        until(lambda: "begin 3 False" in notes(project), seconds=20, what="the fourth job")
        # A job whose worker is killed between its end and the record of that runs again, and knows.
        until(lambda: not open_records(project) & {"pack-0", "pack-1", "pack-2"}, seconds=20, what="three records")
    return project


def test_p16_what_a_killed_worker_had_taken_is_delivered_again(
    crashed: Project, rabbitmq_server: services.RabbitMQ
) -> None:
    assert [note for note in notes(crashed) if note.startswith("end")] == ["end 0", "end 1", "end 2"]
    with worker_group(crashed, **ENV):
        until(lambda: len(ended(crashed)) == 10, seconds=20, what="all jobs")
        until(lambda: is_empty(crashed, rabbitmq_server), seconds=20, what="the acks")

    # What was done is not done again; only what was in the midst of it began twice, and knew.
    assert ended(crashed) == {str(number): 1 for number in range(10)}
    begun = Counter(note.split()[1] for note in notes(crashed) if note.startswith("begin"))
    assert begun == {**dict.fromkeys(map(str, range(10)), 1), "3": 2}
    assert "begin 3 True" in notes(crashed)


def test_p16_what_is_delivered_a_second_time_is_harmless(crashed: Project, rabbitmq_server: services.RabbitMQ) -> None:
    # The same messages once more, as from a broker that has lost every ack.
    assert crashed.python("-c", SEND, **ENV).returncode == 0
    with worker_group(crashed, **ENV):
        until(lambda: len(ended(crashed)) == 10, seconds=20, what="all jobs")
        until(lambda: is_empty(crashed, rabbitmq_server), seconds=20, what="the end of the copies")

    assert ended(crashed) == {str(number): 1 for number in range(10)}


def open_records(project: Project) -> set[str]:
    store = RedisStore(project.env["ACTORS_STORE_URL"], prefix=f"{project.prefix}actors:")
    return {record.owner for record in pages(store)}


def ended(project: Project) -> Counter[str]:
    return Counter(note.split()[1] for note in notes(project) if note.startswith("end"))


def is_empty(project: Project, server: services.RabbitMQ) -> bool:
    """Whether RabbitMQ has no message of the application any more, be it ready, unacked or delayed."""
    return not any(count for name, count in server.messages().items() if name.startswith(project.prefix))
