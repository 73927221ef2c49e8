"""`/live` and `/ready` of real workers: what befalls them, and which of the two it turns red."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import services
from actors.health.process import started
from services.deadline import until
from tests.integration.health.instances import COMMAND, STUCK_AFTER_S, Instance, service_manager
from tests.integration.project import Project
from tests.integration.shops import EmbeddedShop


@pytest.fixture
def embedded(tmp_path: Path) -> Instance:
    """An application in a file; nothing of it runs yet."""
    return Instance(EmbeddedShop(tmp_path))


@pytest.fixture
def served(
    tmp_path: Path, private_rabbitmq: services.RabbitMQ, private_redis: services.Redis, prefix: str
) -> Iterator[Instance]:
    """An application on servers that may be stopped; nothing of it runs yet."""
    project = Project(tmp_path, broker_url=private_rabbitmq.url, store_url=private_redis.url, prefix=prefix)
    yield Instance(project)
    private_rabbitmq.start()
    project.delete_queues()


def test_p25_a_worker_without_its_broker_or_its_store_lives_and_is_not_ready(
    served: Instance, private_rabbitmq: services.RabbitMQ, private_redis: services.Redis
) -> None:
    # Given a worker whose broker is away already when it starts
    private_rabbitmq.stop()
    with served.project.process(*COMMAND, "1", **served.env):
        until(
            lambda: "no channel to RabbitMQ" in served.failed("/ready").get("consumers", ""), seconds=30, what="a word"
        )
        assert served.status("/live") == 200

        # When that is there, it is ready
        private_rabbitmq.start()
        served.wait()

        # And when its store is away, it is not, until that is back
        private_redis.stop()
        until(
            lambda: "the store does not answer" in served.failed("/ready").get("store", ""), seconds=20, what="a word"
        )
        assert served.status("/live") == 200
        private_redis.start()
        served.wait()


SLOW = """
    import time
    from pathlib import Path

    from actors import actor

    @actor
    def charge(order_id: int) -> None:
        Path("began").touch()
        while not Path("may_end").exists():
            time.sleep(0.02)
"""


def test_p25_one_frozen_process_of_two_turns_live_red_and_a_worker_that_drains_is_not_ready(
    embedded: Instance,
) -> None:
    project = embedded.project
    project.write("shop_tasks", SLOW)
    with service_manager(project.folder) as (address, words):
        env = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "60000000"}
        with embedded.worker_of_two(**env) as log:
            # When one that does not answer itself is frozen
            [frozen] = embedded.pids() - {embedded.serving()}
            os.kill(frozen, signal.SIGSTOP)
            try:
                # Then the other says so
                until(lambda: embedded.status("/live") == 503, seconds=STUCK_AFTER_S + 10, what="a red light")
                assert list(embedded.failed("/live")) == ["heartbeats"]
                silent = f"process {frozen} has said nothing for"
                assert silent in embedded.failed("/live")["heartbeats"]
                until(lambda: any(silent in word for word in words), seconds=5, what="a word to the service manager")
            finally:
                os.kill(frozen, signal.SIGCONT)
            embedded.wait()
            until(lambda: "STATUS=ready" in words[words.index("READY=1") :], seconds=5, what="a word of it")

            # When it is to end, and runs a job
            assert project.actors("send", "charge", "--args", "[1]").returncode == 0
            until((project.folder / "began").exists, seconds=20, what="a job that runs")
            command = re.search(r"\[PID (\d+)\] .*is booting up", log.read_text())
            assert command is not None
            os.kill(int(command[1]), signal.SIGTERM)
            # Then it is not ready, long before it has ended
            until(lambda: "draining" in embedded.failed("/ready"), seconds=10, what="a red light")
            until(lambda: embedded.status("/live") == 200, seconds=10, what="a sign of life")
            (project.folder / "may_end").touch()
            until(lambda: started(int(command[1])) is None, seconds=20, what="its end")
        assert embedded.pids() == set()

    # And the service manager was told of all of it by one of the two
    assert words.count("READY=1") == 1
    assert words.count("WATCHDOG=1") > STUCK_AFTER_S
    assert "STOPPING=1" not in words  # from a process that may be replaced


def test_a_sibling_answers_once_the_process_that_did_is_killed(embedded: Instance) -> None:
    # Given two workers of one instance, of which one answers
    with embedded.doomed() as first:
        serving = embedded.serving()
        with embedded.worker() as second:
            until(lambda: len(embedded.pids()) == 2, seconds=30, what="both")

            # When that is killed
            os.kill(serving, signal.SIGKILL)

            # Then the other answers, and nothing is left of the first
            embedded.wait()
            assert embedded.pids() == {embedded.serving()}
            assert serving not in embedded.pids()
        assert "nothing can listen" not in first.read_text() + second.read_text()


HANGS = """
    import logging
    import threading

    from actors import actor

    @actor
    def charge(order_id: int) -> None: ...

    class Hangs(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            threading.Event().wait()

    logging.getLogger("middleware.attempt_log").addHandler(Hangs())
"""


def test_p25_a_consumer_that_hangs_in_code_of_the_application_turns_live_red(embedded: Instance) -> None:
    embedded.project.write("shop_tasks", HANGS)
    with embedded.doomed():
        assert embedded.project.actors("send", "charge", "--args", "[1]").returncode == 0
        until(lambda: embedded.status("/live") == 503, seconds=STUCK_AFTER_S + 15, what="a red light")
        assert list(embedded.failed("/live")) == ["turns"]
        assert "the consumer of 'default' has not come round for" in embedded.failed("/live")["turns"]
        # It would not end in order, either.
        os.kill(embedded.serving(), signal.SIGKILL)
