"""`actors check --connect` on real servers."""

from collections.abc import Iterator

import pika
import pytest
import redis

import services
from actors.brokers.topology import Queue, QueueType, Topology
from services.deadline import until
from tests.integration.project import Project

# No server listens there.
NOWHERE_AMQP = "amqp://guest:secret@127.0.0.1:1/"
NOWHERE_REDIS = "redis://:secret@127.0.0.1:1/0"


def names(rabbitmq_server: services.RabbitMQ, prefix: str) -> set[str]:
    return {name for name in rabbitmq_server.messages() if name.startswith(prefix)}


def publish_one(project: Project, queue: Queue) -> None:
    with pika.BlockingConnection(pika.URLParameters(project.env["ACTORS_BROKER_URL"])) as connection:
        channel = connection.channel()
        channel.queue_declare(queue.name, durable=True, arguments=dict(queue.arguments))
        channel.confirm_delivery()
        channel.basic_publish("", queue.name, b"{}")


def test_looking_makes_nothing(project: Project, rabbitmq_server: services.RabbitMQ) -> None:
    project.findings("queues")
    project.queues()
    assert names(rabbitmq_server, project.prefix) == set()


def test_looking_takes_no_message(project: Project) -> None:
    project.actors("send", "charge", "--args", "[1]")
    for _ in range(2):
        project.findings("queues")
        assert project.queues()["default"]["ready"] == 1


def test_the_servers_and_their_versions_are_named(
    project: Project, rabbitmq_server: services.RabbitMQ, redis_server: services.Redis
) -> None:
    report = project.json("check", "--connect")
    found = {each["check"]: (each["status"], each["what"]) for each in report["findings"]}
    assert found["rabbitmq"] == found["redis"] == ("ok", "reachable")
    assert found["rabbitmq-version"] == ("ok", f"RabbitMQ {rabbitmq_server.version}")
    assert found["redis-version"][1].endswith(redis_server.version)
    assert found["redis-eviction"][0] == "ok"
    assert found["redis-persistence"] == ("ok", "appendonly yes")


def test_a_running_worker_leaves_nothing_to_warn_of(project: Project) -> None:
    declared = "28 of 28 exist, as we declare them"
    with project.worker():
        # It consumes before it has declared all that it needs for delays.
        until(lambda: project.findings("delays")["hold queues"]["what"] == declared, seconds=20, what="the hold queues")
        # And it tells that it consumes within a second of that.
        until(lambda: "all" in project.findings("workers"), seconds=20, what="a worker that takes messages")
        report = project.json("check", "--connect", "--strict")
    assert report["status"] == "ok"
    found = {(each["check"], each["subject"]): each["what"] for each in report["findings"]}
    assert found["consumers", "default"] == "1 consumer, 0 messages ready"
    assert found["delays", "hold queues"] == declared


def test_a_queue_with_other_arguments_is_an_error_that_names_both_values(project: Project) -> None:
    queue = Topology("quorum", project.prefix).work("default")
    with pika.BlockingConnection(pika.URLParameters(project.env["ACTORS_BROKER_URL"])) as connection:
        arguments = {**queue.arguments, "x-delivery-limit": 7}
        connection.channel().queue_declare(queue.name, durable=True, arguments=arguments)
    report = project.json("check", "--connect", status=1)
    [error] = [each for each in report["findings"] if each["status"] == "error"]
    assert (error["check"], error["subject"]) == ("queues", "default")
    assert "x-delivery-limit='7'" in error["what"]
    assert "we declare '1000'" in error["what"]
    assert "ACTORS_QUEUE_PREFIX" in error["advice"]


@pytest.mark.parametrize(
    ("env", "check"),
    [({"ACTORS_BROKER_URL": NOWHERE_AMQP}, "rabbitmq"), ({"ACTORS_STORE_URL": NOWHERE_REDIS}, "redis")],
)
def test_an_unreachable_server_is_named_without_its_password_and_ends_with_3(
    project: Project, env: dict[str, str], check: str
) -> None:
    ended = project.actors("check", "--connect", "--timeout", "0.5", **env)
    assert (ended.returncode, ended.stderr) == (3, "")
    assert "secret" not in ended.stdout
    assert project.findings(check, "--timeout", "0.5", status=3, **env).popitem()[1]["status"] == "error"


@pytest.mark.parametrize("command", [["queues"], ["send", "charge", "--args", "[1]"]])
def test_an_unreachable_rabbitmq_ends_a_command_with_one_line_and_3(project: Project, command: list[str]) -> None:
    env = {"ACTORS_BROKER_URL": NOWHERE_AMQP, "ACTORS_PUBLISH_TIMEOUT_MS": "500"}
    timeout = ["--timeout", "0.5"] if command == ["queues"] else []
    ended = project.actors(*command, *timeout, "--json", **env)
    assert (ended.returncode, ended.stdout) == (3, "")
    [line] = ended.stderr.splitlines()
    assert line.startswith("Error: ")
    assert "Connection refused" in line
    assert "secret" not in line


def test_a_user_without_rights_is_told_what_it_lacks(
    project: Project, rabbitmq_server: services.RabbitMQ, prefix: str
) -> None:
    project.actors("send", "charge", "--args", "[1]")
    with rabbitmq_server.user(prefix, configure="nothing", write="nothing", read="nothing") as url:
        found = project.findings("rabbitmq", status=3, ACTORS_BROKER_URL=url)
        ended = project.actors("send", "charge", "--args", "[1]", ACTORS_BROKER_URL=url)
    assert [each["status"] for each in found.values()] == ["error"]
    assert "ACCESS_REFUSED" in found.popitem()[1]["what"]
    assert ended.returncode == 3
    assert ended.stderr.startswith(f"Error: amqp://{prefix}:***@")
    assert "ACCESS_REFUSED" in ended.stderr


def test_messages_of_an_earlier_generation_are_named_until_a_worker_takes_them(project: Project) -> None:
    project.actors("send", "charge", "--args", "[1]", ACTORS_QUEUE_TYPE="classic")
    assert "1 message left" in project.findings("generations")["default"]["what"]
    physical = {each["name"]: each for each in project.queues()["default"]["physical"]}
    assert physical[f"{project.prefix}.default"]["role"] == "earlier"


def test_delayed_messages_that_no_relay_moves_are_named(project: Project) -> None:
    project.actors("send", "charge", "--args", "[1]", "--delay", "1h")
    assert project.findings("delays")["hold queues"]["what"].startswith("1 delayed message, and no relay")
    left = project.findings("delays", ACTORS_QUEUE_TYPE="classic")["hold queues"]
    assert left["what"] == "1 delayed message left in quorum hold queues, and no relay that reads them"


def test_delayed_messages_of_plain_dramatiq_are_named(project: Project) -> None:
    publish_one(project, Topology("quorum", project.prefix).plain_delay("default"))
    assert "that plain Dramatiq delayed" in project.findings("generations")["default"]["what"]


@pytest.mark.parametrize("queue_type", ["quorum", "classic"])
def test_dead_letters_of_either_type_are_named(project: Project, queue_type: QueueType) -> None:
    publish_one(project, Topology(queue_type, project.prefix).dead("default"))
    assert project.findings("dead-letters")["default"]["what"] == "1 dead letter to decide on"
    assert project.queues()["default"]["dead"] == 1


def test_redis_without_the_right_to_ask_is_a_warning(project: Project, redis_url: str, prefix: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.acl_setuser(prefix, enabled=True, passwords=["+secret"], categories=["+@all"], commands=["-info"])
        try:
            url = redis_url.replace("redis://", f"redis://{prefix}:secret@")
            found = project.findings("redis-eviction", ACTORS_STORE_URL=url)
        finally:
            client.acl_deluser(prefix)
    assert [each["status"] for each in found.values()] == ["warning"]


@pytest.fixture
def configurable_redis(private_redis: services.Redis) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(private_redis.url) as client:
        yield client
        client.config_set("appendonly", "yes")
        client.config_set("maxmemory", 0)


def test_a_redis_that_a_restart_makes_forget_is_a_warning(
    project: Project, private_redis: services.Redis, configurable_redis: redis.Redis
) -> None:
    configurable_redis.config_set("appendonly", "no")
    found = project.findings("redis-persistence", ACTORS_STORE_URL=private_redis.url)[private_redis.url]
    assert (found["status"], found["what"].partition(":")[0]) == ("warning", "appendonly no")
    assert "appendonly yes" in found["advice"]


def test_a_limit_of_memory_is_well_where_nothing_is_evicted(
    project: Project, private_redis: services.Redis, configurable_redis: redis.Redis
) -> None:
    configurable_redis.config_set("maxmemory", "100mb")
    found = project.findings("redis-eviction", ACTORS_STORE_URL=private_redis.url)[private_redis.url]
    assert (found["status"], found["what"]) == ("ok", "maxmemory-policy noeviction")
