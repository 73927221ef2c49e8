"""What operators ask schedulers, and tell the one that leads, on RabbitMQ."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pika
import pytest

import services
from periodic.position import Position
from periodic.roster import Entry, Roster, timing_of
from periodic.run_time import definitions
from periodic.status import Role
from periodic.watermark import Watermark
from services.deadline import until
from tests.integration.periodic.operated import OperatedSite
from tests.integration.periodic.site import gaps, now, schedule, wait_for_ticks, wait_until

# A tick of its own would be counted with those that a test is about.
RARELY_MS = 365 * 86_400_000
EXTRA = {"actor": "job", "every": 50}


@pytest.fixture(params=["quorum", pytest.param("classic", marks=pytest.mark.long)])
def site(request: pytest.FixtureRequest, broker_url: str, prefix: str) -> Iterator[OperatedSite]:
    """An environment of the test's own, whose schedulers can be asked."""
    site = OperatedSite(broker_url, prefix, request.param)
    yield site
    site.close()


def roles(site: OperatedSite) -> dict[str, str]:
    return {str(reply.status["replica"]): str(reply.status["role"]) for reply in site.ask().replies}


def test_all_replicas_say_what_they_do(site: OperatedSite) -> None:
    with site.leading(schedule()) as leader:
        others = [site.scheduler(schedule(), name=name) for name in ("two", "three")]
        for other in others:
            site.start(other)
            wait_until(other, Role.STANDING_BY)
        wait_for_ticks(leader, 3)
        heard = site.ask()

    told = {str(reply.status["replica"]): reply.status for reply in heard.replies}
    assert {name: each["role"] for name, each in told.items()} == {
        "one": "leading",
        "two": "standing by",
        "three": "standing by",
    }
    assert heard.silent == 0
    assert told["one"]["enqueued"] >= 3
    assert told["one"]["lateness_ms"] > 0
    assert told["one"]["looped_at"] is not None
    assert told["two"]["enqueued"] == 0


def test_where_no_scheduler_is_connected_nobody_waits_for_an_answer(site: OperatedSite) -> None:
    assert site.ask().replies == []
    heard = site.tell("pause", schedule="a")
    assert (heard.replies, heard.silent, heard.leaders) == ([], 0, None)


def test_a_replica_that_does_not_answer_is_counted(site: OperatedSite) -> None:
    with site.leading(schedule()):
        channel = site.channel.connection.channel()
        channel.basic_consume(site.address.connected, lambda *_: None)
        heard = site.ask()
        channel.close()
    assert len(heard.replies) == 1
    assert heard.silent == 1


def test_a_standby_leaves_a_change_to_the_leader(site: OperatedSite) -> None:
    with site.leading(schedule()):
        other = site.scheduler(schedule(), name="two")
        site.start(other)
        wait_until(other, Role.STANDING_BY)
        assert site.leaders(site.tell("pause", schedule="a")).status["replica"] == "one"
        assert other.status.role is Role.STANDING_BY


def test_a_paused_schedule_enqueues_nothing_and_the_others_go_on(site: OperatedSite) -> None:
    a, b = schedule("a"), schedule("b", queue="other")
    with site.leading(a, b) as leader:
        wait_for_ticks(leader, 4)
        site.order("pause", schedule="a")
        site.enqueued(a)
        wait_for_ticks(leader, 5)
        assert site.enqueued(a) == []
    assert gaps(site.enqueued(b), every_ms=50) == (0, 0)


def test_a_pause_survives_all_replicas_and_a_resume_begins_from_then_on(site: OperatedSite) -> None:
    with site.leading(schedule()) as leader:
        wait_for_ticks(leader, 1)
        assert site.order("pause", schedule="a").startswith("paused a")
    paused_at = now()
    site.enqueued()
    assert site.roster().entries["a"].paused
    until(lambda: now() > paused_at + timedelta(milliseconds=150), seconds=5, what="more than one tick of the pause")

    with site.leading(schedule(), name="two") as leader:
        row = site.row("a")
        assert (row["paused"], row["paused_by"], row["next"]) == (True, "ann", None)
        resumed_at = now()
        site.order("resume", schedule="a")
        wait_for_ticks(leader, 3)
        assert site.row("a")["paused"] is False

    ticks = site.enqueued()
    assert ticks[0].time > resumed_at
    assert gaps(ticks, every_ms=50) == (0, 0)
    [missed] = site.missed()
    assert missed.schedule == "a"
    assert missed.reason.startswith("it was paused by ann from ")
    assert missed.time <= paused_at + timedelta(milliseconds=50)
    assert missed.until is not None
    # Each tick is either recorded or enqueued.
    assert ticks[0].time - missed.until == timedelta(milliseconds=50)


def test_an_added_schedule_ticks_from_then_on_and_survives_all_replicas(site: OperatedSite) -> None:
    extra = schedule("extra")
    with site.leading(schedule("a", RARELY_MS)) as leader:
        began = now()
        assert site.order("add", schedule="extra", definition=EXTRA) == "added extra"
        wait_for_ticks(leader, 3)
        row = site.row("extra")
        assert (row["actor"], row["added"], row["in_code"], row["definition"]) == ("job", True, True, EXTRA)
    with site.leading(schedule("a", RARELY_MS), name="two") as leader:
        wait_for_ticks(leader, 3)

    ticks = site.enqueued(extra)
    assert ticks[0].time > began
    assert gaps(ticks, every_ms=50) == (0, 0)


def test_a_changed_schedule_ticks_by_its_new_timing_and_a_removed_one_not_at_all(site: OperatedSite) -> None:
    with site.leading(schedule("a", RARELY_MS)) as leader:
        site.order("add", schedule="extra", definition={"actor": "job", "every": 3_600_000})
        changed_at = now()
        site.order("change", schedule="extra", definition={"every": 50})
        wait_for_ticks(leader, 3)
        site.order("remove", schedule="extra")
        ticks = site.enqueued()
        assert ticks[0].time > changed_at
        assert {tick.schedule for tick in ticks} == {"extra"}
        refused = site.leaders(site.tell("show", schedule="extra")).refused
    assert "no schedule is called 'extra'" in refused
    assert definitions(site.roster()) == {}


@pytest.mark.parametrize(
    ("definition", "problem"),
    [
        ({"actor": "jbo", "every": 50}, "no actor 'jbo'"),
        ({"actor": "job", "cron": "0 25 * * *"}, "hour 25 is out of range"),
        ({"actor": "job"}, "must have one of cron, every and at"),
    ],
)
def test_what_the_code_can_not_run_is_refused_and_the_leader_goes_on(
    site: OperatedSite, definition: dict[str, object], problem: str
) -> None:
    with site.leading(schedule()) as leader:
        assert problem in site.leaders(site.tell("add", schedule="extra", definition=definition)).refused
        wait_for_ticks(leader, 3)
    assert gaps(site.enqueued(), every_ms=50) == (0, 0)
    assert definitions(site.roster()) == {}


def test_a_change_that_comes_again_is_made_once_whoever_leads_then(site: OperatedSite) -> None:
    """The leader may die between the roster and the answer; whoever asks tells it again, to the next."""
    extra: dict[str, Any] = {"schedule": "extra", "definition": EXTRA}
    with site.leading(schedule("a", RARELY_MS)):
        first = site.leaders(site.tell("add", inquiry_id="x", **extra))
        site.order("remove", schedule="extra")
    with site.leading(schedule("a", RARELY_MS), name="two"):
        again = site.leaders(site.tell("add", inquiry_id="x", **extra))
        assert again.answer == first.answer == {"text": "added extra"}
        assert site.leaders(site.tell("show", schedule="extra")).refused


def test_no_tick_is_lost_or_doubled_by_changes(site: OperatedSite) -> None:
    a, b = schedule("a", 20), schedule("b", 20, queue="other")
    with site.leading(a, b) as leader:
        for _ in range(5):
            wait_for_ticks(leader, 3)
            site.order("add", schedule="extra", definition={"actor": "job", "every": 3_600_000})
            site.order("remove", schedule="extra")
    for each in (a, b):
        assert gaps(site.enqueued(each), every_ms=20) == (0, 0)
    assert site.missed() == []


def test_changes_do_not_use_up_the_channels_of_the_connection(site: OperatedSite) -> None:
    with site.leading(schedule("a", RARELY_MS)) as leader:
        connection = leader._connection
        assert connection is not None
        site.order("pause", schedule="a")
        before = len(connection._impl._channels)
        for _ in range(3):
            site.order("resume", schedule="a")
            site.order("pause", schedule="a")
        assert len(connection._impl._channels) == before


def test_the_list_is_paged_by_name_and_says_when_each_ticks_next(site: OperatedSite) -> None:
    schedules = [schedule(name, 3_600_000, jitter=1_000) for name in ("c", "a", "b")]
    with site.leading(*schedules):
        first = site.leaders(site.tell("list", limit=2)).answer
        second = site.leaders(site.tell("list", limit=2, after="b")).answer
    assert first is not None
    assert second is not None
    assert ([row["schedule"] for row in first["schedules"]], first["next"]) == (["a", "b"], "b")
    assert ([row["schedule"] for row in second["schedules"]], second["next"]) == (["c"], None)
    tick = next(schedules[1].ticks_after(now()))
    row = first["schedules"][0]
    assert (row["next"], row["due"]) == (tick.time.isoformat(), tick.due.isoformat())
    assert (row["actor"], row["when"], row["options"]["jitter"]) == ("job", "every(1:00:00)", 1_000)


def test_asking_changes_nothing(site: OperatedSite) -> None:
    with site.leading(schedule("a", 3_600_000)):
        pass
    before = (site.roster(), site.watermark())
    with site.leading(schedule("a", 3_600_000), name="two"):
        for action in ("status", "list", "show"):
            site.ask(action, schedule="a")
    assert (site.roster(), site.watermark()) == before


@pytest.mark.parametrize("body", [b"", b"\xff\x00", b"[]", b'{"id": "1", "action": "explode", "fields": {}}'])
def test_nonsense_does_not_harm_a_leader(site: OperatedSite, body: bytes) -> None:
    with site.leading(schedule()) as leader:
        site.channel.basic_publish(site.address.exchange, "", body)
        site.channel.basic_publish(site.address.exchange, "", body, pika.BasicProperties(reply_to="nowhere"))
        wait_for_ticks(leader, 5)
        assert roles(site) == {"one": "leading"}
    assert gaps(site.enqueued(), every_ms=50) == (0, 0)


@pytest.mark.parametrize("fields", [{"limit": "many"}, {"limit": None}, {"after": 5, "limit": []}])
def test_a_question_that_makes_no_sense_is_refused(site: OperatedSite, fields: dict[str, Any]) -> None:
    with site.leading(schedule()):
        assert site.leaders(site.tell("list", **fields)).refused


def test_a_question_of_a_later_version_is_refused(site: OperatedSite) -> None:
    with site.leading(schedule()):
        assert "knows no 'explode'" in site.leaders(site.tell("explode")).refused


def test_a_replica_listens_again_when_its_queue_is_deleted(site: OperatedSite) -> None:
    inboxes: list[str] = []
    make = site.address.inbox

    def inbox() -> str:
        inboxes.append(make())
        return inboxes[-1]

    site.address = replace(site.address, inbox=inbox)
    with site.leading(schedule()) as leader:
        assert roles(site) == {"one": "leading"}
        # An exclusive queue is its connection's alone; the exchange that it is bound to is not.
        site.channel.exchange_delete(site.address.exchange)
        site.channel.queue_delete(site.address.connected)
        until(lambda: roles(site) == {"one": "leading"}, seconds=20, what="an answer")
        wait_for_ticks(leader, 3)
    assert len(inboxes) > 1
    assert gaps(site.enqueued(), every_ms=50) == (0, 0)


def test_nothing_is_left_of_the_desk_when_the_last_replica_has_gone(site: OperatedSite) -> None:
    with site.leading(schedule()):
        assert roles(site) == {"one": "leading"}
    connected = site.topology.connected_schedulers
    until(lambda: site.depth(connected) == -1, seconds=10, what="the end of the queue")
    channel = site.channel.connection.channel()
    with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="no exchange"):
        channel.exchange_declare(site.address.exchange, passive=True)


def test_a_leader_moves_the_watermark_when_it_is_forced_to(site: OperatedSite) -> None:
    to = now() - timedelta(seconds=2)
    with site.leading(schedule("a", 500)) as leader:
        wait_for_ticks(leader, 1)
        refused = site.leaders(site.tell("reset-watermark")).refused
        assert "the watermark is sane" in refused
        first = site.enqueued()[0]
        text = site.order("reset-watermark", to=to.isoformat(), force=True)
        assert text.endswith(f"to {to.isoformat()}")
        until(lambda: site.depth(site.work()) >= 4, seconds=20, what="the ticks of two seconds again")
    again = site.enqueued()
    assert first.id in {tick.id for tick in again}
    assert gaps(again, every_ms=500) == (0, 0)


def test_inquiries_are_answered_while_ticks_are_due_all_the_time(site: OperatedSite) -> None:
    with site.leading(*(schedule(f"s{number}", 5) for number in range(10))) as leader:
        wait_for_ticks(leader, 100)
        assert roles(site) == {"one": "leading"}
        assert site.order("pause", schedule="s0").startswith("paused s0")


def test_a_schedule_that_has_failed_is_told_and_no_more_when_it_works_again_in_the_next_term(
    site: OperatedSite,
) -> None:
    broken = [True]

    def publication(each, tick):  # type: ignore[no-untyped-def]
        if each.name == "bad" and broken:
            raise ValueError("no luck")
        return site.publication(each, tick)

    with site.leading(schedule(), schedule("bad"), publication=publication) as leader:
        until(lambda: leader.status.failing, seconds=10, what="a failure")
        assert site.row("bad")["failing"] == "ValueError: no luck"
        broken.clear()
        site.order("pause", schedule="bad")
        assert site.row("bad")["failing"] == ""


def test_the_position_of_a_schedule_of_which_a_leader_knows_nothing_is_kept(site: OperatedSite) -> None:
    """A run-time schedule whose actor an older replica does not have is there again with the next one that has it."""
    since = now() - timedelta(hours=1)
    mark = Watermark(Position.behind_all(since), since)
    gone = Entry(timing_of(schedule("extra")), since)
    roster = Roster({"extra": gone}, more={"added": {"extra": {"actor": "elsewhere", "every": 50}}})
    site.begin_with(mark, roster)
    with site.leading(schedule("a", 3_600_000)):
        row = site.row("extra")
        assert (row["in_code"], row["actor"], row["added"]) == (False, None, True)
        assert row["gone_at"] is not None
    assert definitions(site.roster()) == {"extra": {"actor": "elsewhere", "every": 50}}


def test_a_replica_that_may_not_listen_enqueues_all_the_same(
    rabbitmq_server: services.RabbitMQ, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    pattern = f"^(amq\\.|{prefix}\\.(?!scheduler)).*"
    with (
        rabbitmq_server.user(prefix, configure=pattern, write=".*", read=".*") as url,
        closing(OperatedSite(url, prefix, "quorum")) as site,
    ):
        with site.leading(schedule()) as leader:
            wait_for_ticks(leader, 5)
            assert leader.status.role is Role.LEADING
        assert gaps(site.enqueued(), every_ms=50) == (0, 0)
        assert caplog.text.count("one can't be asked by operators: ACCESS_REFUSED") == 1


def test_what_is_told_while_the_leader_ends_is_done_by_the_next(site: OperatedSite) -> None:
    with ThreadPoolExecutor(1) as pool:
        first = site.scheduler(schedule())
        stop = site.start(first)
        wait_until(first, Role.LEADING)
        other = site.scheduler(schedule(), name="two")
        site.start(other)
        wait_until(other, Role.STANDING_BY)
        done = pool.submit(
            lambda: [site.leaders(site.tell(action, schedule="a")) for _ in range(10) for action in ("pause", "resume")]
        )
        until(lambda: first.status.enqueued or done.done(), seconds=20, what="a tick")
        stop()
        replies = done.result(60)
    assert [reply.refused for reply in replies] == [""] * 20
    assert all(reply.answer is not None for reply in replies)
    assert replies[-1].status["replica"] == "two"
