"""The actor option ``periodic=``: schedules, checked against the function that they run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import dramatiq
import pytest

from actors import actor, assembly
from actors.checks.declarations import check_actors
from actors.errors import DeclarationError
from actors.testing import StubBroker, drain, enqueued
from periodic import cron, every, schedules

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)


def nightly() -> None: ...


def declare(**options: Any) -> Any:
    def report(month: str = "", *, draft: bool = False) -> None: ...

    return actor(**options)(report)


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(DeclarationError) as error:
        call()
    return str(error.value)


def test_an_actor_declares_a_schedule_of_its_own_name(stub_broker: StubBroker) -> None:
    declare(periodic=cron("0 9 * * 1-5", timezone="Asia/Shanghai"))

    found = schedules(stub_broker)

    assert list(found) == ["report"]
    assert found["report"].actor == "report"
    assert next(found["report"].ticks_after(BEGIN)).time == datetime(2026, 11, 2, 1, tzinfo=UTC)


def test_an_actor_declares_several_schedules_by_name(stub_broker: StubBroker) -> None:
    declare(periodic={"nightly": cron("@daily", args=["2026-11"]), "drafts": every(hours=1, kwargs={"draft": True})})

    found = schedules(stub_broker)

    assert {name: (each.actor, each.args, each.kwargs) for name, each in found.items()} == {
        "nightly": ("report", ("2026-11",), {}),
        "drafts": ("report", (), {"draft": True}),
    }


def test_the_name_is_that_of_the_actor_not_of_its_function(stub_broker: StubBroker) -> None:
    declare(actor_name="monthly-report", periodic=cron("@monthly"))

    assert [(each.name, each.actor) for each in schedules(stub_broker).values()] == [("monthly-report",) * 2]


def test_an_actor_without_schedules_has_none(stub_broker: StubBroker) -> None:
    declare()
    declare(actor_name="other", periodic=None)

    assert schedules(stub_broker) == {}


def test_a_periodic_actor_is_sent_and_run_as_any_other(stub_broker: StubBroker) -> None:
    ran = []

    @actor(periodic=cron("@daily", args=("2026-11",)), idempotency_key="report:{month}", max_retries=1)
    def report(month: str) -> None:
        ran.append(month)

    report.send("2026-10")
    (message,) = enqueued()
    drain()

    assert ran == ["2026-10"]
    assert "periodic" not in message.options


def test_arguments_are_kept_as_json_has_them(stub_broker: StubBroker) -> None:
    @actor(periodic=cron("@daily", args=(UUID(int=1),), kwargs={"since": date(2026, 11, 1)}))
    def report(account: UUID, since: date) -> None: ...

    (schedule,) = schedules(stub_broker).values()

    assert (schedule.args, schedule.kwargs) == ((str(UUID(int=1)),), {"since": "2026-11-01"})
    assert report.restore(schedule.args, dict(schedule.kwargs)) == ((UUID(int=1), date(2026, 11, 1)), {})


def test_the_queue_of_a_schedule_is_consumed_too(stub_broker: StubBroker) -> None:
    declare(periodic=[cron("@daily", name="nightly", queue="slow"), cron("@hourly", name="hourly")])

    assert stub_broker.get_declared_queues() >= {"default", "slow"}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"args": (1, 2)}, "periodic 'report': actor 'report': too many positional arguments"),
        ({"kwargs": {"moth": "11"}}, "periodic 'report': actor 'report': got an unexpected keyword argument 'moth'"),
        ({"args": (object(),)}, "periodic 'report': args[0]: a value of type object can't travel as JSON"),
        (
            {"kwargs": {"month": datetime(2026, 1, 1)}},
            "periodic 'report': kwargs.month: 2026-01-01T00:00:00 is a naive datetime",
        ),
        ({"queue": "a b"}, "periodic 'report': queue='a b' must start with a letter or an underscore"),
    ],
)
def test_what_its_function_or_its_queue_could_not_take_is_refused(
    stub_broker: StubBroker, options: dict[str, Any], problem: str
) -> None:
    text = refusal(lambda: declare(periodic=cron("@daily", **options)))

    assert text.startswith(problem)
    assert "report" not in stub_broker.actors


@pytest.mark.parametrize(
    ("option", "problem"),
    [
        ("0 9 * * *", "periodic 'report': '0 9 * * *' is none of cron(), every(), at(), or a trigger of APScheduler's"),
        ([cron("@daily"), cron("@hourly")], "actor 'report': periodic= has 2 schedules; give each a name"),
    ],
)
def test_what_is_no_schedule_is_refused(stub_broker: StubBroker, option: Any, problem: str) -> None:
    assert refusal(lambda: declare(periodic=option)).startswith(problem)


def test_a_required_argument_that_is_missing_is_refused(stub_broker: StubBroker) -> None:
    def charge(order_id: int) -> None: ...

    text = refusal(lambda: actor(periodic=cron("@daily"))(charge))

    assert text == "periodic 'charge': actor 'charge': missing a required argument: 'order_id'"


def test_the_name_of_another_actors_schedule_is_refused(stub_broker: StubBroker) -> None:
    declare(actor_name="first", periodic={"nightly": cron("@daily")})

    text = refusal(lambda: declare(actor_name="second", periodic={"nightly": cron("@hourly")}))

    assert text == (
        "periodic 'nightly': the name is taken by a schedule of actor 'first'; "
        "give that of actor 'second' another name="
    )
    assert list(schedules(stub_broker)) == ["nightly"]


def test_the_name_of_a_schedule_whose_actor_was_refused_is_free(stub_broker: StubBroker) -> None:
    refusal(lambda: declare(actor_name="first", periodic={"nightly": cron("@daily", args=["too", "many"])}))

    declare(actor_name="first", periodic={"hourly": cron("@hourly")})
    declare(actor_name="second", periodic={"nightly": cron("@hourly")})

    assert {each.name: each.actor for each in schedules(stub_broker).values()} == {
        "hourly": "first",
        "nightly": "second",
    }


def test_a_misspelt_option_is_pointed_out(stub_broker: StubBroker) -> None:
    assert refusal(lambda: declare(periodc=cron("@daily"))).endswith("did you mean 'periodic'?")


def test_a_message_has_no_schedule_of_its_own(stub_broker: StubBroker) -> None:
    report = declare()

    assert "unknown option 'periodic'" in refusal(lambda: report.send_with_options(periodic=cron("@daily")))


def test_a_check_names_a_schedule_whose_arguments_do_not_fit_the_hints(stub_broker: StubBroker) -> None:
    @actor(periodic={"nightly": cron("@daily", args=("none",)), "hourly": cron("@hourly", args=("2026-11-01",))})
    def report(day: date) -> None: ...

    (finding,) = check_actors({"report": report}, on_rabbitmq=True)

    assert finding.subject == "report"
    assert finding.what.startswith("schedule 'nightly': actor 'report': day: ")


def test_a_check_of_a_schedule_leaves_actors_of_plain_dramatiq_alone(stub_broker: StubBroker) -> None:
    plain = dramatiq.Actor(print, broker=stub_broker, actor_name="plain", queue_name="default", priority=0, options={})

    (finding,) = check_actors({"plain": plain}, on_rabbitmq=True)

    assert finding.what == "builtins.print on queue 'default'"


def test_configure_keeps_the_queue_of_a_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assembly, "_settings", None)
    monkeypatch.setattr(assembly.broker, "_engine", None)
    monkeypatch.setattr(assembly.broker, "actors", {})
    monkeypatch.setattr(assembly.broker, "queues", set())
    actor(periodic=cron("@daily", queue="slow"))(nightly)

    assembly.configure(queue_prefix="staging")

    assert assembly.broker.queues == {"default", "slow"}
