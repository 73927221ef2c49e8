"""Dead letters of RabbitMQ that no other engine has."""

import time
from typing import Any

import dramatiq
from pika import BasicProperties

from actors.brokers.topology import Topology
from services.deadline import until
from tests.conformance.operators.site import RabbitmqSite
from tests.integration.broker.dead.conftest import MakeSite


def test_letters_of_the_other_queue_type_are_there_too(
    site: RabbitmqSite, make_site: MakeSite, queue_type: str
) -> None:
    other = make_site(queue_type="classic" if queue_type == "quorum" else "quorum")
    other.bury("old")
    site.bury("new")
    assert site.names() == other.names()[::-1] == ["old", "new"]
    assert site.count() == 2


def test_what_rabbitmq_has_dead_lettered_by_itself_died_when_that_happened(make_site: MakeSite, channel: Any) -> None:
    # Given a letter of plain Dramatiq, which nacks a message that has failed
    site = make_site(queue_type="classic")
    site.rabbitmq.engine.declarations.dead("default")
    topology = Topology("classic", site.rabbitmq.engine.options.topology.prefix)
    message: dramatiq.Message[Any] = dramatiq.Message("default", "job", (1,), {}, {"traceback": "boom"})
    began = time.time_ns() // 1_000_000
    work = topology.work("default").name
    channel.basic_publish("", work, message.encode(), BasicProperties(delivery_mode=2))
    tag = until(lambda: channel.basic_get(work)[0], seconds=5, what="the message").delivery_tag
    channel.basic_nack(tag, requeue=False)
    until(lambda: site.count() == 1, seconds=5, what="the letter")
    # When it is looked at twice, Then it says the same, and the time is RabbitMQ's
    [first] = site.letters.look().letters
    [second] = site.letters.look().letters
    assert first == second
    assert began - 1_000 <= first.letter.died <= time.time_ns() // 1_000_000
    assert (first.letter.message_id, first.letter.error, first.letter.reason) == (message.message_id, "boom", "")
