"""Replaying dead letters: each message goes where workers look for it, and its letter goes once it is there."""

import datetime
import threading
import time
from collections import Counter
from typing import Any

import pytest

from actors.dead_letters import Dead, Objection, Replayed, Selection, Terms
from middleware import current
from middleware.failure import Failure, Reason
from services.deadline import until
from tests.conformance.operators.conftest import MakeSite
from tests.conformance.operators.site import FIRST_DIED, Site, returned

EVERYTHING = Selection()


def test_a_message_that_has_failed_runs_again_under_its_id_and_key(site: Site) -> None:
    # Given a message that fails for good
    healed = threading.Event()
    ran: list[tuple[str, int]] = []

    def job(name: str) -> None:
        message = current().message
        ran.append((message.message_id, message.options.get("replays", 0)))
        if not healed.is_set():
            raise ValueError("not yet")

    sent = site.declare(job, max_retries=0, idempotency_key="{name}").send("a")
    site.work()
    until(lambda: site.count() == 1, seconds=20, what="the letter")
    # When it is replayed after its cause has gone
    healed.set()
    assert site.letters.replay(EVERYTHING) == Replayed(replayed=1)
    # Then it runs once more, and there is no letter
    until(lambda: len(ran) == 2, seconds=20, what="the replay")
    assert ran == [(sent.message_id, 0), (sent.message_id, 1)]
    assert site.count() == 0


def test_a_replay_has_what_was_sent_and_nothing_of_its_failures(site: Site) -> None:
    site.declare_job()
    began = time.time_ns() // 1_000_000
    site.bury("a", retries=3, traceback="boom", failure_={}, attempts=[{"attempt": 1}], replays=1, mine="kept")
    assert site.letters.replay(EVERYTHING).replayed == 1
    [message] = site.waiting()
    assert (message.message_id, message.args) == ("a", ("a",))
    assert message.options == {"replays": 2, "mine": "kept", "failure_": {}}
    assert message.message_timestamp >= began


@pytest.mark.usefixtures("small_steps")
def test_only_what_is_selected_is_replayed_and_the_rest_stays_as_it_was(site: Site) -> None:
    site.declare_job()
    site.bury(*[f"{'keep' if number % 3 else 'send'}-{number}" for number in range(90)])
    kept = [name for name in site.names() if name.startswith("keep")]
    sent = [name for name in site.names() if name.startswith("send")]
    # All were in somebody's hand before: a quorum queue treats those in another way.
    assert site.letters.replay(Selection(ids=sent)) == Replayed(replayed=30)
    assert site.names() == kept
    assert [message.message_id for message in site.waiting()] == sent


@pytest.mark.parametrize("looked_at_before", [False, True])
def test_a_replay_that_is_told_to_stop_leaves_the_rest_in_its_order(site: Site, looked_at_before: bool) -> None:
    site.declare_job()
    names = [f"{number:03}" for number in range(200)]
    site.bury(*names)
    if looked_at_before:
        site.letters.groups()
    selection = Selection(ids=[name for name in names if name[-1] != "5"])
    done = site.letters.replay(selection, Terms(rate=300, go_on=lambda so_far: so_far.replayed < 20))
    assert 20 <= done.replayed < 150
    assert done.stopped == "it was interrupted"
    sent = [message.message_id for message in site.waiting()]
    assert sent == [name for name in names if name[-1] != "5"][: done.replayed]
    assert site.names() == [name for name in names if name not in sent]


def test_a_replay_keeps_to_its_rate(site: Site) -> None:
    site.declare_job()
    site.bury(*map(str, range(30)))
    at: list[float] = []
    began = time.monotonic()
    site.letters.replay(EVERYTHING, Terms(rate=50, done=lambda dead: at.append(time.monotonic())))
    assert len(at) == 30
    # 30 of them at 50 a second, less what may be caught up with
    assert at[-1] - began > 0.3


def test_a_message_whose_actor_has_moved_goes_to_its_queue_of_today(site: Site) -> None:
    site.declare_job(queue_name="reports")
    site.broker.queues.discard("default")
    site.bury("a")
    assert site.letters.replay(EVERYTHING).replayed == 1
    [message] = site.waiting("reports")
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
    make_site: MakeSite, letter: dict[str, Any], kind: str, why: str
) -> None:
    site = make_site(max_message_bytes=2_000)
    site.declare_job()
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
    assert [message.message_id for message in site.waiting()] == ["a"]


def test_arguments_are_checked_against_the_hints_of_today(site: Site) -> None:
    def job(day: datetime.date) -> None: ...

    site.declare(job)
    site.bury("a", args=["tomorrow"])
    [(_, objection)] = site.letters.preview(EVERYTHING).examples
    assert (objection.kind, "day" in objection.why) == ("arguments", True)


def test_what_can_not_be_decoded_is_kept_even_by_force(site: Site) -> None:
    body = b"\xff not JSON"
    site.bury_bytes(body)
    with returned(site):
        assert site.letters.replay(EVERYTHING, Terms(force=True)) == Replayed(kept=1)


def are_done(site: Site) -> bool:
    """Whether nothing is ready or dead; a copy that finds its key held may be delayed, to look again."""
    ready, _, dead = site.broker.get_queue_message_counts("default")
    return ready == dead == 0


def test_copies_of_a_letter_run_once(site: Site) -> None:
    # Given a message that has failed, and whose letter was forwarded twice
    healed = threading.Event()
    ran: list[str] = []

    def job(name: str) -> None:
        ran.append(name)
        if not healed.is_set():
            raise ValueError("not yet")

    sent = site.declare(job, max_retries=0).send("a")
    site.work()
    until(lambda: site.count() == 1, seconds=20, what="the letter")
    [buried] = site.letters.find(sent.message_id)
    site.put_in_graves([(buried.letter, buried.body)])
    # When both are replayed
    healed.set()
    assert site.letters.replay(EVERYTHING).replayed == 2
    until(lambda: are_done(site), seconds=20, what="empty queues")
    site.rest()
    # Then one of them has run
    until(lambda: are_done(site), seconds=20, what="empty queues")
    assert ran == ["a", "a"]


def test_what_fails_again_during_a_replay_is_not_replayed_by_it(site: Site) -> None:
    ran: list[str] = []
    site.declare_job(ran)
    site.work()
    site.bury(*[f"bad{number}" for number in range(9)])
    done = site.letters.replay(EVERYTHING, Terms(rate=30))
    assert done.replayed == 9
    until(lambda: site.count() == 9, seconds=20, what="all of them again")
    assert len(ran) == 9
    assert {dead.letter.replays for dead in site.letters.look().letters} == {1}


@pytest.mark.usefixtures("counts_often")
def test_a_replay_stops_when_most_of_its_messages_fail_again(site: Site) -> None:
    site.declare_job()
    site.work()
    names = [f"bad{number:03}" for number in range(300)]
    site.bury(*names)
    done = site.letters.replay(EVERYTHING, Terms(rate=60))
    assert done.stopped == f"{done.relapsed} messages have failed again"
    assert 10 <= done.relapsed <= done.replayed < 200
    until(lambda: site.count() == 300, seconds=20, what="all of them")
    assert site.names()[: 300 - done.replayed] == names[done.replayed :]


@pytest.mark.usefixtures("counts_often")
def test_a_replay_does_not_stop_for_the_letters_of_others(site: Site) -> None:
    site.declare_job()
    site.bury(*map(str, range(40)))
    others = iter(range(1_000))

    def go_on(so_far: Replayed) -> bool:
        if so_far.replayed:
            site.bury(f"other{next(others)}", died=time.time_ns() // 1_000_000)
        return True

    assert site.letters.replay(
        Selection(actors=["job"], until=FIRST_DIED + 40), Terms(rate=60, go_on=go_on)
    ) == Replayed(replayed=40)


@pytest.mark.usefixtures("counts_often")
def test_a_replay_stops_after_as_many_relapses_as_it_is_told(site: Site) -> None:
    site.declare_job()
    site.work()
    site.bury(*[f"{'bad' if number % 10 == 0 else 'good'}{number}" for number in range(300)])
    done = site.letters.replay(EVERYTHING, Terms(rate=60, stop_after=2))
    assert 2 <= done.relapsed < done.replayed < 200
