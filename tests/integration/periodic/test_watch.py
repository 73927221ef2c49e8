"""What a replica looks at beside its work, on RabbitMQ."""

import logging
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta

import pytest

import services
from actors.health.pages import verdict
from periodic import consumers, skew
from periodic import serving as module
from periodic.health import ready
from periodic.scheduler import utc_now
from periodic.status import Role, Status
from services.deadline import until
from tests.integration.periodic.operated import OperatedSite
from tests.integration.periodic.site import schedule, wait_for_ticks, wait_until

TEN_MINUTES = timedelta(minutes=10)


@pytest.fixture
def site(broker_url: str, prefix: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[OperatedSite]:
    """An environment of the test's own, whose schedulers look all the time."""
    monkeypatch.setattr(consumers, "LOOK_EVERY_S", 0.1)
    monkeypatch.setattr(skew, "ASK_EVERY_S", 0.1)
    site = OperatedSite(broker_url, prefix, "quorum")
    yield site
    site.close()


def test_queues_without_a_consumer_are_known_with_their_schedules_since_when(site: OperatedSite) -> None:
    own = schedule("own", 1_000, queue="slow")
    with site.leading(schedule("a", 1_000), schedule("b", 1_000), own) as leader:
        default, slow = site.work().name, site.work(own).name
        until(lambda: leader.status.unconsumed.keys() == {default, slow}, seconds=20, what="both queues")
        found = dict(leader.status.unconsumed)
        assert {name: (each.queue, each.schedules) for name, each in found.items()} == {
            default: ("default", ("a", "b")),
            slow: ("slow", ("own",)),
        }
        assert all(time.monotonic() - 20 < each.since_s <= time.monotonic() for each in found.values())

        # One of them gets a consumer, and loses it again
        wait_for_ticks(leader, 6)
        consumer = site.channel.basic_consume(slow, lambda *_: None)
        until(lambda: slow not in leader.status.unconsumed, seconds=20, what="a consumer")
        assert leader.status.unconsumed[default].since_s == found[default].since_s
        site.channel.basic_cancel(consumer)
        until(lambda: slow in leader.status.unconsumed, seconds=20, what="no consumer")
        assert leader.status.unconsumed[slow].since_s > found[slow].since_s

        # What is paused enqueues nothing
        site.order("pause", schedule="own")
        until(lambda: leader.status.unconsumed.keys() == {default}, seconds=20, what="one queue")


def test_the_skew_of_leader_and_standby_is_measured_and_told(site: OperatedSite) -> None:
    with site.leading(schedule("a", 1_000)) as leader:
        slow = site.scheduler(schedule("a", 1_000), name="two", clock=lambda: utc_now() - TEN_MINUTES)
        slow.status.problem = "it was without a connection"
        site.start(slow)
        wait_until(slow, Role.STANDING_BY)
        until(lambda: None not in (leader.status.skew, slow.status.skew), seconds=20, what="two measures")
        told = {reply.status["replica"]: reply.status for reply in site.ask().replies}
    assert told["one"]["skew_ms"] == pytest.approx(0, abs=1_000)
    assert told["two"]["skew_ms"] == pytest.approx(-600_000, abs=1_000)
    assert (told["one"]["ready"], told["two"]["ready"]) == (True, False)
    assert [check["name"] for check in told["two"]["checks"] if not check["ok"]] == ["clock"]
    assert told["two"]["problem"] == ""


def test_a_clock_is_compared_again_when_its_queues_have_been_deleted(
    site: OperatedSite, rabbitmq_server: services.RabbitMQ, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(skew, "ASK_EVERY_S", 1.0)

    def expiring() -> list[str]:
        own = f"{site.topology.prefix}."
        return [name for name in rabbitmq_server.messages() if name.startswith(own) and "expiring" in name]

    with site.leading(schedule("a", 1_000)) as leader:
        until(lambda: leader.status.skew is not None, seconds=20, what="a measure")
        [name] = expiring()
        rabbitmq_server.ctl("delete_queue", name)
        # It is made again when an answer is overdue; the measure that there was is forgotten before.
        until(lambda: expiring() == [name], seconds=20, what="the queue of questions")
        until(lambda: leader.status.skew is not None, seconds=20, what="another measure")
        assert leader.status.role is Role.LEADING


def test_one_that_may_not_declare_queues_of_its_own_leads_without_a_word_on_its_clock(
    rabbitmq_server: services.RabbitMQ, prefix: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(skew, "ASK_EVERY_S", 0.1)
    caplog.set_level(logging.WARNING)
    pattern = rf"^{prefix}\.(?!scheduler\.).*"
    with (
        rabbitmq_server.user(prefix, configure=pattern, write=".*", read=".*") as url,
        closing(OperatedSite(url, prefix, "quorum")) as site,
    ):
        with site.leading(schedule("a", 50)) as leader:
            until(lambda: "can't compare its clock" in caplog.text, seconds=20, what="a warning")
            wait_for_ticks(leader, 10)
            assert leader.status.skew is None
            assert all(check.ok for check in ready(leader.status, time.monotonic()))
        assert caplog.text.count("can't compare its clock") == 1


class Recorded(Status):
    """A status that keeps which roles were entered, and what was wrong by then."""

    entered: list[tuple[Role, str]]

    def enter(self, role: Role, now: datetime, problem: str = "") -> None:
        super().enter(role, now, problem)
        self.entered.append((role, problem))


def test_one_that_must_not_lead_is_not_ready_between_two_looks_either(
    site: OperatedSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_AGAIN_S", 0.1)
    with site.leading(schedule("a", 50), generation=2) as leader:
        wait_for_ticks(leader, 1)
    old = site.scheduler(schedule("a", 50), generation=1)
    old.status = status = Recorded("one")
    status.entered = []
    stop = site.start(old)
    until(lambda: [role for role, _ in status.entered].count(Role.REFUSING) >= 2, seconds=20, what="another look")
    said = verdict(ready(status, time.monotonic())).body.decode()
    stop()
    assert "ACTORS_GENERATION=1 is older than 2" in said
    first = [role for role, _ in status.entered].index(Role.REFUSING)
    since = dict(status.entered[first:])
    assert since.keys() == {Role.REFUSING, Role.CONNECTING, Role.STANDING_BY}
    assert all("ACTORS_GENERATION=1 is older than 2" in problem for problem in since.values())


def test_a_password_that_rabbitmq_refuses_is_not_told(site: OperatedSite, broker_url: str, prefix: str) -> None:
    url = broker_url.replace("guest:guest", f"guest:{prefix}")
    assert url != broker_url
    refused = site.scheduler(schedule(), url=url)
    stop = site.start(refused)
    until(lambda: refused.status.problem, seconds=20, what="a refusal")
    said = verdict(ready(refused.status, time.monotonic())).body.decode()
    stop()
    assert "ACCESS_REFUSED" in said
    assert prefix not in said
