"""The message of a tick, as it is published."""

import json
from typing import Any

import pytest
from dramatiq.middleware import Middleware, MiddlewareError

from actors.assembly import middleware
from actors.brokers.nodes import Nodes
from actors.brokers.rabbitmq import RabbitmqBroker, RabbitmqOptions
from actors.brokers.topology import Topology
from actors.decorator import Actor
from actors.errors import MessageTooLarge
from actors.scheduling.rabbitmq import publication
from periodic import every
from periodic.schedule import Schedule
from periodic.tick import Tick
from tests.unit.periodic.moments import after

TICK = Tick("hourly", after(3_600), after(3_605))


class Refuse(MiddlewareError):
    """It may not be sent."""


@pytest.fixture
def broker() -> RabbitmqBroker:
    options = RabbitmqOptions(Nodes(["amqp://127.0.0.1:1/"]), Topology("quorum", "shop"), max_message_bytes=1_000)
    return RabbitmqBroker(lambda: options, middleware=middleware()[1:])


def declare(broker: RabbitmqBroker, **options: Any) -> None:
    Actor(
        lambda *args, **kwargs: None,
        broker=broker,
        actor_name="report",
        queue_name="reports",
        priority=0,
        options=options,
    )


def hourly(**options: Any) -> Schedule:
    return every(hours=1, **options).schedule("hourly", "report")


def test_the_message_is_the_actors_with_the_id_of_the_tick(broker: RabbitmqBroker) -> None:
    declare(broker)
    made = publication(broker, hourly(args=[1], kwargs={"day": "mon"}), TICK)
    message = json.loads(made.body)

    assert made.queue == Topology("quorum", "shop").work("reports")
    assert (message["actor_name"], message["queue_name"]) == ("report", "reports")
    assert (message["args"], message["kwargs"]) == ([1], {"day": "mon"})
    assert message["message_id"] == made.properties.message_id == TICK.id
    assert made.properties.delivery_mode == 2
    assert made.properties.content_type == "application/json"


def test_it_says_of_which_schedule_and_time_it_is(broker: RabbitmqBroker) -> None:
    declare(broker)
    tick = json.loads(publication(broker, hourly(), TICK).body)["options"]["tick"]

    # The nominal time: not when it was due
    assert tick["schedule"] == "hourly"
    assert tick["time"] == "2030-01-01T01:00:00+00:00"


@pytest.mark.parametrize("policy", ["skip", "queue_one"])
def test_it_says_what_is_done_where_runs_overlap(broker: RabbitmqBroker, policy: str) -> None:
    declare(broker)
    tick = json.loads(publication(broker, hourly(overlap=policy), TICK).body)["options"]["tick"]
    assert tick["overlap"] == policy


def test_the_queue_and_the_priority_of_the_schedule_go_before_the_actors(broker: RabbitmqBroker) -> None:
    declare(broker)
    made = publication(broker, hourly(queue="slow", priority=7), TICK)

    assert made.queue == Topology("quorum", "shop").work("slow")
    assert made.properties.priority == 7
    assert json.loads(made.body)["options"]["broker_priority"] == 7


def test_the_key_is_the_id_of_the_tick_whatever_key_the_actor_makes_of_its_arguments(broker: RabbitmqBroker) -> None:
    declare(broker, idempotency_key="the same for all ticks")

    assert json.loads(publication(broker, hourly(), TICK).body)["options"]["idempotency_key"] == TICK.id


@pytest.mark.parametrize("options", [{}, {"idempotent": False}])
def test_without_a_key_of_the_actors_the_message_id_is_the_key_if_there_is_one(
    broker: RabbitmqBroker, options: dict[str, Any]
) -> None:
    declare(broker, **options)

    # Given in a message, a key would guard also the actor that does not want to be.
    assert "idempotency_key" not in json.loads(publication(broker, hourly(), TICK).body)["options"]


def test_middleware_sees_it_as_it_sees_what_an_application_sends(broker: RabbitmqBroker) -> None:
    class Trace(Middleware):
        def before_enqueue(self, broker: object, message: Any, delay: int | None) -> None:
            assert delay is None
            message.options["trace"] = "t1"

    broker.add_middleware(Trace())
    declare(broker)

    assert json.loads(publication(broker, hourly(), TICK).body)["options"]["trace"] == "t1"


def test_what_middleware_refuses_is_not_published(broker: RabbitmqBroker) -> None:
    class Never(Middleware):
        def before_enqueue(self, broker: object, message: object, delay: int | None) -> None:
            raise Refuse

    broker.add_middleware(Never())
    declare(broker)

    with pytest.raises(Refuse):
        publication(broker, hourly(), TICK)


def test_what_is_too_large_is_not_published(broker: RabbitmqBroker) -> None:
    declare(broker)

    with pytest.raises(MessageTooLarge):
        publication(broker, hourly(args=["x" * 1_000]), TICK)
