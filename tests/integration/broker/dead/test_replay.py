"""Replaying dead letters: each message goes where workers look for it, and its letter goes once it is there."""

import datetime
import threading
import time
from collections import Counter
from typing import Any

import dramatiq
import pytest
from dramatiq.errors import ConnectionFailed

import services
from actors.brokers import taking
from actors.brokers.rabbitmq import RabbitmqBroker
from actors.dead_letters import Dead, DeadLetters, Objection, Replayed, Selection, Terms
from actors.dead_letters.rabbitmq import replay
from middleware import Letter, current
from middleware.failure import Failure, Reason
from services.deadline import until
from tests.integration.broker.conftest import Declare, MakeBroker, RunWorker, full
from tests.integration.broker.dead.conftest import FIRST_DIED, MakeSite, Site, returned

EVERYTHING = Selection()


def declare_job(site: Site, declare: Declare, ran: list[str] | None = None, **options: Any) -> Any:
    def job(name: str) -> None:
        if ran is not None:
            ran.append(name)
        if name.startswith("bad"):
            raise ValueError(name)

    return declare(site.broker, job, max_retries=0, **options)


def waiting(channel: Any, broker: RabbitmqBroker, queue: str = "default") -> list[dramatiq.Message[Any]]:
    """Take what is in a work queue."""
    name, found = broker.engine.options.topology.work(queue).name, []
    while (got := channel.basic_get(name, auto_ack=True))[0] is not None:
        found.append(dramatiq.Message.decode(got[2]))
    return found


def test_a_message_that_has_failed_runs_again_under_its_id_and_key(
    site: Site, declare: Declare, run_worker: RunWorker
) -> None:
    # Given a message that fails for good
    healed = threading.Event()
    ran: list[tuple[str, int]] = []

    def job(name: str) -> None:
        message = current().message
        ran.append((message.message_id, message.options.get("replays", 0)))
        if not healed.is_set():
            raise ValueError("not yet")

    sent = declare(site.broker, job, max_retries=0, idempotency_key="{name}").send("a")
    run_worker(site.broker)
    until(lambda: site.count() == 1, seconds=20, what="the letter")
    # When it is replayed after its cause has gone
    healed.set()
    assert site.letters.replay(EVERYTHING) == Replayed(replayed=1)
    # Then it runs once more, and there is no letter
    until(lambda: len(ran) == 2, seconds=20, what="the replay")
    assert ran == [(sent.message_id, 0), (sent.message_id, 1)]
    assert site.count() == 0


def test_a_replay_has_what_was_sent_and_nothing_of_its_failures(site: Site, declare: Declare, channel: Any) -> None:
    declare_job(site, declare)
    began = time.time_ns() // 1_000_000
    site.bury("a", retries=3, traceback="boom", failure_={}, attempts=[{"attempt": 1}], replays=1, mine="kept")
    assert site.letters.replay(EVERYTHING).replayed == 1
    [message] = waiting(channel, site.broker)
    assert (message.message_id, message.args) == ("a", ("a",))
    assert message.options == {"replays": 2, "mine": "kept", "failure_": {}}
    assert message.message_timestamp >= began


def test_only_what_is_selected_is_replayed_and_the_rest_stays_as_it_was(
    site: Site, declare: Declare, channel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "DEEPEST", 7)
    declare_job(site, declare)
    site.bury(*[f"{'keep' if number % 3 else 'send'}-{number}" for number in range(90)])
    kept = [name for name in site.names() if name.startswith("keep")]
    sent = [name for name in site.names() if name.startswith("send")]
    # All were in somebody's hand before: a quorum queue treats those in another way.
    assert site.letters.replay(Selection(ids=sent)) == Replayed(replayed=30)
    assert site.names() == kept
    assert [message.message_id for message in waiting(channel, site.broker)] == sent


@pytest.mark.parametrize("looked_at_before", [False, True])
def test_a_replay_that_is_told_to_stop_leaves_the_rest_in_its_order(
    site: Site, declare: Declare, channel: Any, looked_at_before: bool
) -> None:
    declare_job(site, declare)
    names = [f"{number:03}" for number in range(200)]
    site.bury(*names)
    if looked_at_before:
        site.letters.groups()
    selection = Selection(ids=[name for name in names if name[-1] != "5"])
    done = site.letters.replay(selection, Terms(rate=300, go_on=lambda so_far: so_far.replayed < 20))
    assert 20 <= done.replayed < 150
    assert done.stopped == "it was interrupted"
    sent = [message.message_id for message in waiting(channel, site.broker)]
    assert sent == [name for name in names if name[-1] != "5"][: done.replayed]
    assert site.names() == [name for name in names if name not in sent]


def test_a_replay_keeps_to_its_rate(site: Site, declare: Declare) -> None:
    declare_job(site, declare)
    site.bury(*map(str, range(30)))
    at: list[float] = []
    began = time.monotonic()
    site.letters.replay(EVERYTHING, Terms(rate=50, done=lambda dead: at.append(time.monotonic())))
    assert len(at) == 30
    # 30 of them at 50 a second, less what may be caught up with
    assert at[-1] - began > 0.3


def test_letters_of_both_queue_types_go_to_the_present_one(
    site: Site, make_site: MakeSite, declare: Declare, channel: Any, queue_type: str
) -> None:
    make_site(queue_type="classic" if queue_type == "quorum" else "quorum").bury("old")
    site.bury("new")
    declare_job(site, declare)
    assert site.letters.replay(EVERYTHING).replayed == 2
    assert [message.message_id for message in waiting(channel, site.broker)] == ["old", "new"]
    assert site.count() == 0


def test_a_message_whose_actor_has_moved_goes_to_its_queue_of_today(site: Site, declare: Declare, channel: Any) -> None:
    declare_job(site, declare, queue_name="reports")
    site.broker.queues.discard("default")
    site.bury("a")
    assert site.letters.replay(EVERYTHING).replayed == 1
    [message] = waiting(channel, site.broker, "reports")
    assert message.queue_name == "reports"


@pytest.mark.parametrize(
    ("letter", "kind", "why"),
    [
        ({"actor": "jbo"}, "unknown_actor", "no loaded actor is named 'jbo', did you mean 'job'?"),
        ({"args": []}, "arguments", "actor 'job': missing a required argument: 'name'"),
        ({"kwargs": {"cents": 1}}, "arguments", "actor 'job': got an unexpected keyword argument 'cents'"),
        ({"failure": Failure(Reason.CONFLICT, "Conflict", "")}, "conflict", "belongs to another message"),
        ({"args": ["x" * 3_000]}, "too_large", "over the limit of 2,000"),
    ],
)
def test_what_could_not_work_is_kept_with_why_unless_it_is_forced(
    make_site: MakeSite, declare: Declare, channel: Any, letter: dict[str, Any], kind: str, why: str
) -> None:
    site = make_site(max_message_bytes=2_000)
    declare_job(site, declare)
    site.bury("a", **letter)
    kept: list[tuple[Dead, Objection]] = []
    with returned(site):
        preview = site.letters.preview(EVERYTHING)
        done = site.letters.replay(EVERYTHING, Terms(kept=lambda dead, objection: kept.append((dead, objection))))
    assert (preview.ready, preview.objections) == (0, Counter({kind: 1}))
    assert done == Replayed(kept=1)
    assert [objection for _, objection in kept] == [objection for _, objection in preview.examples]
    assert kept[0][1].kind == kind
    assert why in kept[0][1].why
    assert site.letters.preview(EVERYTHING, force=True).ready == 1
    assert site.letters.replay(EVERYTHING, Terms(force=True)) == Replayed(replayed=1)
    assert [message.message_id for message in waiting(channel, site.broker)] == ["a"]


def test_arguments_are_checked_against_the_hints_of_today(site: Site, declare: Declare) -> None:
    def job(day: datetime.date) -> None: ...

    declare(site.broker, job)
    site.bury("a", args=["tomorrow"])
    [(_, objection)] = site.letters.preview(EVERYTHING).examples
    assert (objection.kind, "day" in objection.why) == ("arguments", True)


def test_what_can_not_be_decoded_is_kept_even_by_force(site: Site, declare: Declare) -> None:
    body = b"\xff not JSON"
    letter = Letter.of_body(body, ValueError("not JSON"), queue="default", died=FIRST_DIED)
    assert site.broker.engine.publisher.publish([site.broker.engine.bury(body, letter)], 10) == []
    with returned(site):
        assert site.letters.replay(EVERYTHING, Terms(force=True)) == Replayed(kept=1)


def test_a_queue_that_refuses_messages_stops_a_replay_that_loses_nothing(
    make_site: MakeSite, declare: Declare, rabbitmq_server: services.RabbitMQ, prefix: str
) -> None:
    site = make_site(queue_type="classic")
    declare_job(site, declare)
    site.bury("a", "b")
    with full(rabbitmq_server, prefix, "default$"), returned(site):
        done = site.letters.replay(EVERYTHING)
    assert done.replayed == 0
    assert done.stopped == "message a: RabbitMQ refused it"


def test_copies_of_a_letter_run_once(site: Site, declare: Declare, run_worker: RunWorker) -> None:
    # Given a message that has failed, and whose letter was forwarded twice
    healed = threading.Event()
    ran: list[str] = []

    def job(name: str) -> None:
        ran.append(name)
        if not healed.is_set():
            raise ValueError("not yet")

    sent = declare(site.broker, job, max_retries=0).send("a")
    worker = run_worker(site.broker)
    until(lambda: site.count() == 1, seconds=20, what="the letter")
    [buried] = site.letters.find(sent.message_id)
    site.broker.engine.publisher.publish([site.broker.engine.bury(buried.body, buried.letter)], 10)
    # When both are replayed
    healed.set()
    assert site.letters.replay(EVERYTHING).replayed == 2
    until(lambda: site.broker.get_queue_message_counts("default") == (0, 0, 0), seconds=20, what="empty queues")
    worker.stop(timeout=10_000)
    # Then one of them has run
    until(lambda: site.broker.get_queue_message_counts("default") == (0, 0, 0), seconds=20, what="empty queues")
    assert ran == ["a", "a"]


def test_what_fails_again_during_a_replay_is_not_replayed_by_it(
    site: Site, declare: Declare, run_worker: RunWorker
) -> None:
    ran: list[str] = []
    declare_job(site, declare, ran)
    run_worker(site.broker)
    site.bury(*[f"bad{number}" for number in range(9)])
    done = site.letters.replay(EVERYTHING, Terms(rate=30))
    assert done.replayed == 9
    until(lambda: site.count() == 9, seconds=20, what="all of them again")
    assert len(ran) == 9
    assert {dead.letter.replays for dead in site.letters.look().letters} == {1}


def test_a_replay_stops_when_most_of_its_messages_fail_again(
    site: Site, declare: Declare, run_worker: RunWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "COUNT_EVERY_S", 0.1)
    declare_job(site, declare)
    run_worker(site.broker)
    names = [f"bad{number:03}" for number in range(300)]
    site.bury(*names)
    done = site.letters.replay(EVERYTHING, Terms(rate=60))
    assert done.stopped == f"{done.relapsed} messages have failed again"
    assert 10 <= done.relapsed <= done.replayed < 200
    until(lambda: site.count() == 300, seconds=20, what="all of them")
    assert site.names()[: 300 - done.replayed] == names[done.replayed :]


def test_a_replay_does_not_stop_for_the_letters_of_others(
    site: Site, declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "COUNT_EVERY_S", 0.05)
    declare_job(site, declare)
    site.bury(*map(str, range(40)))
    others = iter(range(1_000))

    def go_on(so_far: Replayed) -> bool:
        if so_far.replayed:
            site.bury(f"other{next(others)}", died=time.time_ns() // 1_000_000)
        return True

    assert site.letters.replay(
        Selection(actors=["job"], until=FIRST_DIED + 40), Terms(rate=60, go_on=go_on)
    ) == Replayed(replayed=40)


def test_a_replay_stops_after_as_many_relapses_as_it_is_told(
    site: Site, declare: Declare, run_worker: RunWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "COUNT_EVERY_S", 0.1)
    declare_job(site, declare)
    run_worker(site.broker)
    site.bury(*[f"{'bad' if number % 10 == 0 else 'good'}{number}" for number in range(300)])
    done = site.letters.replay(EVERYTHING, Terms(rate=60, stop_after=2))
    assert 2 <= done.relapsed < done.replayed < 200


def test_what_was_in_hand_for_too_long_goes_back_and_is_taken_again(
    site: Site, declare: Declare, channel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "ROUND_S", 0.2)
    declare_job(site, declare)
    names = [f"{number:02}" for number in range(60)]
    site.bury(*names[:30], actor="gone")
    site.bury(*names[30:], died=FIRST_DIED + 30)
    kept: list[Dead] = []
    done = site.letters.replay(EVERYTHING, Terms(rate=40, kept=lambda dead, _: kept.append(dead)))
    assert done == Replayed(replayed=30, kept=30)
    assert len(kept) == 30
    assert [message.message_id for message in waiting(channel, site.broker)] == names[30:]
    assert site.names() == names[:30]


def test_a_rabbitmq_that_confirms_nothing_ends_a_replay_in_time(
    make_broker: MakeBroker, declare: Declare, private_rabbitmq: services.RabbitMQ
) -> None:
    site = Site(make_broker(url=private_rabbitmq.url, publish_timeout_s=2.0))
    site.letters = DeadLetters(site.broker, ["default"], timeout_s=2.0)
    declare_job(site, declare)
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
