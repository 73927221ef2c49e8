"""Replays through RabbitMQ, which may refuse, keep silent, or want its letters back."""

import time

import pytest
from dramatiq.errors import ConnectionFailed

import services
from actors.dead_letters import Dead, DeadLetters, Replayed, Selection, Terms
from actors.dead_letters.rabbitmq import replay
from middleware.stores.redis import RedisStore
from services.deadline import until
from tests.conformance.operators.site import FIRST_DIED, RabbitmqSite, returned
from tests.integration.broker.conftest import MakeBroker, full
from tests.integration.broker.dead.conftest import MakeSite

EVERYTHING = Selection()


def test_letters_of_both_queue_types_go_to_the_present_one(
    site: RabbitmqSite, make_site: MakeSite, queue_type: str
) -> None:
    make_site(queue_type="classic" if queue_type == "quorum" else "quorum").bury("old")
    site.bury("new")
    site.declare_job()
    assert site.letters.replay(EVERYTHING).replayed == 2
    assert [message.message_id for message in site.waiting()] == ["old", "new"]
    assert site.count() == 0


def test_a_queue_that_refuses_messages_stops_a_replay_that_loses_nothing(
    make_site: MakeSite, rabbitmq_server: services.RabbitMQ, prefix: str
) -> None:
    site = make_site(queue_type="classic")
    site.declare_job()
    site.bury("a", "b")
    with full(rabbitmq_server, prefix, "default$"), returned(site):
        done = site.letters.replay(EVERYTHING)
    assert done.replayed == 0
    assert done.stopped == "message a: RabbitMQ refused it"


def test_what_was_in_hand_for_too_long_goes_back_and_is_taken_again(
    site: RabbitmqSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "ROUND_S", 0.2)
    site.declare_job()
    names = [f"{number:02}" for number in range(60)]
    site.bury(*names[:30], actor="gone")
    site.bury(*names[30:], died=FIRST_DIED + 30)
    kept: list[Dead] = []
    done = site.letters.replay(EVERYTHING, Terms(rate=40, kept=lambda dead, _: kept.append(dead)))
    assert done == Replayed(replayed=30, kept=30)
    assert len(kept) == 30
    assert [message.message_id for message in site.waiting()] == names[30:]
    assert site.names() == names[:30]


def test_a_rabbitmq_that_confirms_nothing_ends_a_replay_in_time(
    make_broker: MakeBroker, store: RedisStore, private_rabbitmq: services.RabbitMQ
) -> None:
    site = RabbitmqSite(make_broker(url=private_rabbitmq.url, publish_timeout_s=2.0), store)
    site.letters = DeadLetters(site.broker, ["default"], timeout_s=2.0)
    site.declare_job()
    site.bury(*map(str, range(20)))

    def freeze(so_far: Replayed) -> bool:
        if so_far.replayed == 5:
            private_rabbitmq.freeze()
        return True

    began = time.monotonic()
    with pytest.raises(ConnectionFailed):
        site.letters.replay(EVERYTHING, Terms(rate=10, go_on=freeze))
    assert time.monotonic() - began < 30
    private_rabbitmq.thaw()
    until(lambda: site.count() == 15, seconds=20, what="what was not replayed")
