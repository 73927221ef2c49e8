"""Delayed messages: looked at, cancelled, and run now."""

import threading

import pytest

from actors.delayed import Found
from middleware.keys import digest
from middleware.stores import State
from services.deadline import until
from tests.conformance.operators.site import Site
from tests.conformance.operators.site import delayed_names as names

HOUR_MS = 3_600_000


def test_a_look_shows_what_waits_soonest_due_first(site: Site) -> None:
    site.delay("later", 3 * HOUR_MS)
    site.delay("soon", HOUR_MS, retries=2)
    site.delay("last", 300 * 24 * HOUR_MS, queue="reports")
    page = site.delayed.look()
    assert names(page) == ["soon", "later", "last"]
    [soon, later, last] = page.messages
    assert (soon.actor, soon.queue, soon.retries, later.retries, last.queue) == ("job", "default", 2, 0, "reports")
    assert (page.following, page.silent) == ("", 0)
    assert site.delayed.look() == page


def test_pages_hold_each_message_once_over_all_queues(site: Site) -> None:
    for number in range(25):
        site.delay(f"m{number:02}", HOUR_MS + 1_000 * number, queue="reports" if number % 3 else "default")
    seen: list[str] = []
    sizes: list[int] = []
    after = ""
    while not sizes or after:
        page = site.delayed.look(limit=10, after=after)
        seen += names(page)
        sizes.append(len(page.messages))
        after = page.following
    assert sizes == [10, 10, 5]
    assert seen == [f"m{number:02}" for number in range(25)]


def test_a_place_that_is_none_is_refused(site: Site) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        site.delayed.look(after="there")


def test_a_look_can_be_for_one_queue_or_one_actor(site: Site) -> None:
    for number, (queue, actor) in enumerate([("default", "charge"), ("default", "refund"), ("reports", "charge")]):
        site.delay(f"m{number}", HOUR_MS + number, queue=queue, actor=actor)
    assert names(site.delayed.look(queue="default")) == ["m0", "m1"]
    assert names(site.delayed.look(actor="charge")) == ["m0", "m2"]
    assert names(site.delayed.look(actor="charge", queue="reports")) == ["m2"]
    assert names(site.delayed.look(actor="charge", queue="nowhere")) == []


def test_a_cancelled_message_is_gone_and_all_others_stay(site: Site) -> None:
    for number, name in enumerate(["a", "b", "c"]):
        site.delay(name, HOUR_MS + number)
    noted: list[Found] = []
    dealt = site.delayed.cancel(["b", "nobody", "b"], noted.append)
    assert [(found.message.message_id, found.problem) for found in dealt.found] == [("b", None)]
    assert noted == dealt.found
    assert dealt.missing == ["nobody"]
    assert names(site.delayed.look()) == ["a", "c"]
    assert site.delayed.cancel(["b"]).missing == ["b"]


def test_copies_of_a_message_are_cancelled_together(site: Site) -> None:
    site.delay("a", HOUR_MS)
    site.delay("a", 2 * HOUR_MS)
    assert len(site.delayed.cancel(["a"]).found) == 2
    assert site.delayed.look().messages == []


def test_a_message_that_is_run_now_runs_now_and_not_again_when_it_is_due(site: Site) -> None:
    ran: list[str] = []
    job = site.declare(ran.append)
    site.work()
    sent = {name: job.send_with_options(args=(name,), delay=5_000).message_id for name in ("a", "b")}
    dealt = site.delayed.run_now([sent["b"]])
    assert ([found.message.message_id for found in dealt.found], dealt.missing) == ([sent["b"]], [])
    until(lambda: ran == ["b"], seconds=4, what="the one that was to run now")
    until(lambda: ran == ["b", "a"], seconds=10, what="the other one, when it is due")
    assert site.delayed.look().messages == []


def test_what_is_ready_is_not_among_the_delayed(site: Site) -> None:
    site.declare_job().send("ready")
    site.delay("a", HOUR_MS)
    assert site.delayed.run_now(["a"]).missing == []
    assert site.delayed.cancel(["a"]).missing == ["a"]
    assert site.delayed.look().messages == []
    assert [message.args for message in site.waiting()] == [("ready",), ("a",)]


def test_a_retry_that_is_run_now_does_not_wait_for_its_own_key(site: Site) -> None:
    # Given a message whose retry is due in an hour, and a key that waits for it
    healed = threading.Event()
    attempts: list[int] = []

    def job() -> None:
        attempts.append(1)
        if not healed.is_set():
            raise ValueError("not yet")

    sent = site.declare(job, min_backoff=HOUR_MS, max_backoff=HOUR_MS).send()
    site.work()
    until(lambda: names(site.delayed.look()) == [sent.message_id], seconds=20, what="the retry")
    record = site.store.inspect(digest("job", sent.message_id))
    assert record is not None
    assert record.state is State.WAITING
    # When it is run now, Then it runs
    healed.set()
    assert site.delayed.run_now([sent.message_id]).missing == []
    until(lambda: len(attempts) == 2, seconds=20, what="the retry")
