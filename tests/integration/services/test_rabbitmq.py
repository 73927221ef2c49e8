import socket
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import pika
import pytest

import services
from services import RabbitMQ
from services.deadline import until

AMQP_HEADER = b"AMQP\x00\x00\x09\x01"


def kill_and_start(broker: RabbitMQ) -> None:
    broker.kill()
    broker.start()


def kill_frozen_and_start(broker: RabbitMQ) -> None:
    broker.freeze()
    kill_and_start(broker)


@pytest.mark.parametrize("cycle", [kill_and_start, kill_frozen_and_start, RabbitMQ.restart])
def test_durable_messages_survive(private_rabbitmq: RabbitMQ, prefix: str, cycle: Callable[[RabbitMQ], None]) -> None:
    # Given a confirmed, persistent message in a durable queue
    url = private_rabbitmq.url
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare(prefix, durable=True)
        channel.basic_publish("", prefix, b"kept", pika.BasicProperties(delivery_mode=2))
    time.sleep(2)  # RabbitMQ 3.10 may forget a queue when it is killed in the queue's first second
    # When
    cycle(private_rabbitmq)
    # Then it is there, at the same URL
    assert private_rabbitmq.url == url
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        _, _, body = connection.channel().basic_get(prefix, auto_ack=True)
    assert body == b"kept"


def test_a_killed_server_refuses_connections_at_once(private_rabbitmq: RabbitMQ) -> None:
    private_rabbitmq.kill()
    with pytest.raises(ConnectionRefusedError):
        connect(private_rabbitmq)


def test_a_frozen_server_is_silent_until_it_is_thawed(private_rabbitmq: RabbitMQ) -> None:
    private_rabbitmq.freeze()
    with connect(private_rabbitmq) as connection:
        connection.sendall(AMQP_HEADER)
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        private_rabbitmq.thaw()
        connection.settimeout(10)
        assert connection.recv(1) == b"\x01"


def test_every_verb_may_be_repeated(private_rabbitmq: RabbitMQ) -> None:
    for verb in (private_rabbitmq.freeze, private_rabbitmq.thaw, private_rabbitmq.start, private_rabbitmq.kill):
        verb()
        verb()


def test_rabbitmqctl_speaks_to_this_server(private_rabbitmq: RabbitMQ, prefix: str) -> None:
    with pika.BlockingConnection(pika.URLParameters(private_rabbitmq.url)) as connection:
        connection.channel().queue_declare(prefix)
        assert f"{prefix}\t0" in private_rabbitmq.ctl("list_queues", "name", "messages").splitlines()


@pytest.mark.parametrize("queue_type", ["classic", "quorum"])
def test_messages_are_counted_as_they_are_now_those_in_hand_too(
    private_rabbitmq: RabbitMQ, prefix: str, queue_type: str
) -> None:
    with pika.BlockingConnection(pika.URLParameters(private_rabbitmq.url)) as connection:
        channel = connection.channel()
        channel.queue_declare(prefix, durable=True, arguments={"x-queue-type": queue_type})
        channel.confirm_delivery()
        for _ in range(3):
            channel.basic_publish("", prefix, b"")
        channel.basic_get(prefix)
        assert private_rabbitmq.messages()[prefix] == 3
        until(lambda: private_rabbitmq.unacked()[prefix] == 1, seconds=20, what="the count of what is in hand")


def test_an_expression_is_evaluated_within_this_server_and_a_failing_one_is_an_error(
    private_rabbitmq: RabbitMQ,
) -> None:
    assert "7" in private_rabbitmq.evaluate("3 + 4.")
    with pytest.raises(services.ServiceError, match="badarith"):
        private_rabbitmq.evaluate("1 / 0.")


def test_a_user_and_a_policy_are_there_for_a_block(private_rabbitmq: RabbitMQ, prefix: str) -> None:
    pattern, definition = rf"^{prefix}\.(?!a).*", '{"max-length":1}'
    with private_rabbitmq.user(prefix, configure=pattern, write=".*", read="") as url:
        assert f"{prefix}\t{pattern}\t.*\t" in private_rabbitmq.ctl("list_permissions")
        pika.BlockingConnection(pika.URLParameters(url)).close()
    assert prefix not in private_rabbitmq.ctl("list_users")
    with private_rabbitmq.policy(pattern, definition):
        assert f"\t{pattern}\tqueues\t{definition}" in private_rabbitmq.ctl("list_policies")
    assert prefix not in private_rabbitmq.ctl("list_policies")


def test_a_failing_rabbitmqctl_is_an_error_with_its_text(private_rabbitmq: RabbitMQ) -> None:
    with pytest.raises(services.ServiceError, match="no_such_command"):
        private_rabbitmq.ctl("no_such_command")


def test_the_version_is_the_servers_own(private_rabbitmq: RabbitMQ) -> None:
    assert private_rabbitmq.version == private_rabbitmq.ctl("version").strip()


def test_a_server_that_cannot_start_is_an_error_with_its_log() -> None:
    with pytest.raises(services.NotReady, match="no_such_setting"), services.rabbitmq({"no_such_setting": "1"}):
        pass


def connect(broker: RabbitMQ) -> socket.socket:
    address = urlsplit(broker.url)
    return socket.create_connection((address.hostname, address.port), timeout=10)
