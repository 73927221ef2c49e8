"""`/live` and `/ready` of real schedulers."""

import os
import re
import signal
import socket
from collections.abc import Iterator

import pytest

import services
from services.deadline import until
from tests.integration.health.instances import service_manager
from tests.integration.periodic.probed import probed
from tests.integration.periodic.shop import Shop
from tests.integration.project import Project


@pytest.fixture
def shop(project: Project) -> Iterator[Shop]:
    shop = Shop(project)
    yield shop
    shop.close()


def test_p25_a_probe_follows_the_process_and_needs_nothing_of_the_application(shop: Shop) -> None:
    # Given a leader whose jobs are taken, and a replica that stands by
    with shop.worker(), probed(shop.project) as leader:
        until(lambda: leader.is_ready, seconds=20, what="a leader that is ready")
        with (
            service_manager(shop.project.folder) as (address, words),
            probed(shop.project, NOTIFY_SOCKET=address) as standby,
        ):
            until(lambda: standby.is_ready, seconds=20, what="a replica that stands by")
            until(lambda: "READY=1" in words, seconds=5, what="a word of it to the service manager")
            assert leader.ask("/live")[0] == standby.ask("/live")[0] == 200
            assert {check["name"] for check in standby.ask()[1]["checks"]} == {"loop", "role", "rabbitmq", "clock"}
            assert leader.probe().returncode == 0

            # When it is frozen
            name = re.search(r"\[INFO\] \S+:(\d+): connected", standby.log())
            assert name is not None
            os.kill(int(name[1]), signal.SIGSTOP)
            try:
                # Then its probe fails
                assert standby.probe().returncode != 0
            finally:
                os.kill(int(name[1]), signal.SIGCONT)
            until(lambda: standby.is_ready, seconds=20, what="a replica that stands by again")
            assert "STOPPING=1" not in words
        assert words[-2:] == ["STOPPING=1", "STATUS=stopping"]


def test_a_rabbitmq_that_blocks_or_is_away_makes_schedulers_unready_and_leaves_them_alive(
    shop: Shop, private_rabbitmq: services.RabbitMQ
) -> None:
    env = {"ACTORS_BROKER_URL": private_rabbitmq.url}
    with probed(shop.project, **env) as leader:
        until(lambda: "leads from" in leader.log(), seconds=30, what="a leader")
        with probed(shop.project, **env) as standby:
            until(lambda: standby.is_ready, seconds=20, what="a replica that stands by")

            # When it blocks publishers, for longer than a loop may take
            private_rabbitmq.ctl("set_vm_memory_high_watermark", "0.00001")
            for each in (leader, standby):
                until(lambda each=each: each.problem("rabbitmq"), seconds=20, what="a word of it")  # type: ignore[misc]
                assert "RabbitMQ has blocked publishers: low on memory; make room" in each.problem("rabbitmq")
            waits = "the loop waits for RabbitMQ, which takes nothing"
            until(lambda: waits in str(leader.ask("/live")), seconds=20, what="a loop that is overdue")
            assert leader.ask("/live")[0] == standby.ask("/live")[0] == 200
            ended = shop.run("status", **env)
            assert (ended.returncode, "RabbitMQ has blocked publishers: low on memory" in ended.stderr) == (1, True)

            # And takes again what is published
            private_rabbitmq.ctl("set_vm_memory_high_watermark", "0.4")
            until(lambda: standby.is_ready, seconds=20, what="a replica that stands by again")
            until(lambda: leader.problem("rabbitmq") == "", seconds=20, what="a leader that can publish again")

        # When it is away
        private_rabbitmq.stop()
        until(lambda: "no connection to RabbitMQ: " in leader.problem("role"), seconds=20, what="a word of it")
        assert leader.ask("/live")[0] == 200
    private_rabbitmq.start()


@pytest.mark.parametrize(
    ("address", "problem"),
    [("8081", "ACTORS_HEALTH_ADDRESS: '8081' is no HOST:PORT"), ("127.0.0.1:{port}", "ACTORS_HEALTH_ADDRESS: nothing")],
)
def test_an_address_where_it_can_not_listen_ends_it_with_one_line_and_status_2(
    shop: Shop, address: str, problem: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = shop.run("run", ACTORS_HEALTH_ADDRESS=address.format(port=taken.getsockname()[1]))
    assert ended.returncode == 2
    assert problem in ended.stderr
    assert "Traceback" not in ended.stderr
