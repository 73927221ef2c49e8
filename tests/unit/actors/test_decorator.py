from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, cast

import dramatiq
import pytest

from actors import actor, assembly, configure
from actors.assembly import broker
from actors.brokers.broker import Broker
from actors.brokers.rabbitmq import RabbitmqEngine
from actors.errors import ActorsError, ArgumentsError, DeclarationError, MessageTooLarge, NotEncodable, SettingsError
from actors.testing import StubBroker, drain, enqueued

NINE = datetime(2026, 1, 1, 9)


@actor(actor_name="decorator.monthly_report", queue_name="reports")
def monthly_report() -> None: ...


@pytest.fixture
def unused_broker(monkeypatch: pytest.MonkeyPatch) -> Broker[RabbitmqEngine]:
    """The broker of this process, before its settings are read; they are as before when the test ends."""
    monkeypatch.setattr(assembly, "_settings", None)
    monkeypatch.setattr(assembly.broker, "_engine", None)
    monkeypatch.setattr(monthly_report, "queue_name", "reports")
    return cast("Broker[RabbitmqEngine]", broker)


def test_an_actor_called_directly_runs_here_and_now(stub_broker: StubBroker) -> None:
    @actor
    def add(left: int, right: int) -> int:
        return left + right

    assert add(1, right=2) == 3
    assert enqueued() == []


def test_an_actor_is_declared_with_its_options_on_the_current_broker(stub_broker: StubBroker) -> None:
    @actor(actor_name="pay", queue_name="money", priority=7, max_retries=0, throws=ValueError, time_limit=5_000)
    def charge() -> None: ...

    assert stub_broker.get_actor("pay") is charge
    assert (charge.broker, charge.queue_name, charge.priority) == (stub_broker, "money", 7)
    assert charge.options == {"max_retries": 0, "throws": ValueError, "time_limit": 5_000}


def test_an_actor_is_named_after_its_function_and_shares_the_default_queue(stub_broker: StubBroker) -> None:
    @actor
    def charge() -> None: ...

    assert (charge.actor_name, charge.queue_name, charge.priority) == ("charge", "default", 0)


@pytest.mark.parametrize(
    ("option", "hint"),
    [
        ("max_retry", ", did you mean 'max_retries'?"),
        ("queue", ", did you mean 'queue_name'?"),
        ("flavour", ""),
    ],
)
def test_an_unknown_option_is_refused_at_declaration(stub_broker: StubBroker, option: str, hint: str) -> None:
    unknown: Any = {option: 1}

    with pytest.raises(DeclarationError) as error:
        actor(**unknown)(nested())

    assert str(error.value) == f"actor 'inner': unknown option {option!r}{hint}"
    assert isinstance(error.value, ActorsError)
    assert "inner" not in stub_broker.actors


def test_a_name_that_is_taken_is_refused_naming_the_place_that_has_it(stub_broker: StubBroker) -> None:
    @actor
    def charge() -> None: ...

    with pytest.raises(DeclarationError) as error:
        actor(actor_name="charge")(monthly_report.fn)

    here = "test_a_name_that_is_taken_is_refused_naming_the_place_that_has_it.<locals>.charge"
    assert str(error.value) == (
        f"actor 'charge': the name is taken by {__name__}.{here}; give one of them another actor_name="
    )
    assert stub_broker.get_actor("charge") is charge


def nested() -> Callable[[], None]:
    def inner() -> None: ...

    return inner


@pytest.mark.parametrize(
    ("fn", "name", "qualname"), [(nested(), "inner", "nested.<locals>.inner"), (lambda: None, "<lambda>", "<lambda>")]
)
def test_a_function_that_workers_could_not_find_is_refused(fn: Callable[[], None], name: str, qualname: str) -> None:
    with pytest.raises(DeclarationError) as error:
        actor(fn)

    assert str(error.value) == (
        f"actor {name!r}: {qualname} is not at the top level of its module, where workers look for it; move it there"
    )
    assert name not in broker.actors


@pytest.mark.parametrize("queue", ["", "9 lives", "9lives", "a b", "a/b", "money\n", "-money"])
def test_a_bad_queue_name_is_refused(stub_broker: StubBroker, queue: str) -> None:
    with pytest.raises(DeclarationError) as error:

        @actor(queue_name=queue)
        def charge() -> None: ...

    assert str(error.value) == (
        f"actor 'charge': queue name {queue!r} must start with a letter or an underscore, "
        "and go on with letters, digits, dots, dashes or underscores"
    )


@pytest.mark.parametrize("queue", ["default", "_a", "A-b.c_9"])
def test_a_good_queue_name_is_taken(stub_broker: StubBroker, queue: str) -> None:
    @actor(queue_name=queue)
    def charge() -> None: ...

    assert charge.send().queue_name == queue


@pytest.mark.parametrize(
    ("args", "kwargs", "problem"),
    [
        ((), {}, "missing a required argument: 'order'"),
        ((1, 2, 3), {}, "too many positional arguments"),
        ((1,), {"cent": 2}, "got an unexpected keyword argument 'cent'"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_at_send(
    stub_broker: StubBroker, args: tuple[Any, ...], kwargs: dict[str, Any], problem: str
) -> None:
    @actor
    def charge(order: int, cents: int = 0) -> None: ...

    with pytest.raises(ArgumentsError) as error:
        charge.send(*args, **kwargs)

    assert str(error.value) == f"actor 'charge': {problem}"
    assert enqueued() == []


def test_what_can_not_travel_or_is_too_large_is_refused_at_send(stub_broker: StubBroker) -> None:
    @actor
    def charge(order: object) -> None: ...

    with pytest.raises(NotEncodable, match=r"^actor 'charge': args\[0\]: a value of type complex can't travel"):
        charge.send(1j)
    with pytest.raises(MessageTooLarge, match=r"^actor 'charge': the message is 200,\d\d\d bytes, over the limit"):
        charge.send("x" * 200_000)
    assert enqueued() == []


@pytest.mark.parametrize(
    ("option", "hint"),
    [
        ("max_retry", ", did you mean 'max_retries'?"),
        ("etaa", ", did you mean 'eta'?"),
        ("dealy", ", did you mean 'delay'?"),
        ("flavour", ""),
    ],
)
def test_an_unknown_option_of_a_message_is_refused(stub_broker: StubBroker, option: str, hint: str) -> None:
    @actor
    def charge() -> None: ...

    unknown: Any = {option: 1}
    with pytest.raises(DeclarationError) as of_send:
        charge.send_with_options(**unknown)
    with pytest.raises(DeclarationError) as of_message:
        charge.message_with_options(**unknown)

    assert str(of_send.value) == str(of_message.value) == f"actor 'charge': unknown option {option!r}{hint}"
    assert enqueued() == []


def test_options_of_a_message_travel_with_it(stub_broker: StubBroker) -> None:
    @actor
    def on_done(message: dict[str, Any], result: object) -> None: ...

    @actor
    def charge(order: int) -> None: ...

    charge.send_with_options(args=(1,), max_retries=0, on_success=on_done, broker_priority=5)

    assert enqueued(charge)[0].options == {"max_retries": 0, "on_success": "on_done", "broker_priority": 5}


@pytest.mark.parametrize(
    ("delay", "waits_ms"),
    [
        (None, 0),
        (0, 0),
        (-5, 0),
        (1, 1),
        (1_500, 1_500),
        (timedelta(0), 0),
        (timedelta(seconds=-1), 0),
        (timedelta(milliseconds=2), 2),
        (timedelta(microseconds=1), 1),
        (timedelta(milliseconds=2, microseconds=1), 3),
        (timedelta(days=30), 2_592_000_000),
    ],
)
def test_a_delay_is_in_milliseconds_rounded_up(
    stub_broker: StubBroker, delay: timedelta | int | None, waits_ms: int
) -> None:
    @actor
    def charge() -> None: ...

    charge.send_with_options(delay=delay)

    assert enqueued()[0].delay == timedelta(milliseconds=waits_ms)


def test_p19_an_aware_eta_names_the_same_instant_in_any_zone(stub_broker: StubBroker) -> None:
    @actor
    def charge() -> None: ...

    for offset in (0, 8, -5):
        charge.send_with_options(eta=datetime.now(timezone(timedelta(hours=offset))) + timedelta(hours=1))

    assert all(timedelta(minutes=59) < each.delay <= timedelta(hours=1) for each in enqueued(charge))


def test_p19_p13_a_naive_eta_is_refused(stub_broker: StubBroker) -> None:
    @actor
    def charge() -> None: ...

    with pytest.raises(ArgumentsError) as error:
        charge.send_with_options(eta=NINE)

    assert str(error.value) == (
        "actor 'charge': eta=2026-01-01T09:00:00 has no time zone; "
        "use datetime.now(UTC), or .replace(tzinfo=ZoneInfo('…'))"
    )
    assert enqueued() == []


def test_an_eta_in_the_past_means_now(stub_broker: StubBroker) -> None:
    @actor
    def charge() -> None: ...

    charge.send_with_options(eta=datetime(2000, 1, 1, tzinfo=UTC))

    assert enqueued()[0].delay == timedelta(0)
    assert drain().done == 1


@pytest.mark.parametrize(
    ("when", "text"),
    [
        ({"delay": timedelta(days=367)}, "a delay of 367 days is longer than a year (366 days); keep such dates"),
        ({"delay": 366 * 86_400_000 + 1}, "a delay of 366 days is longer than a year (366 days); keep such dates"),
        ({"eta": datetime.max.replace(tzinfo=UTC)}, "longer than a year (366 days); keep such dates"),
        ({"delay": 1.5}, "delay=1.5 must be an int of milliseconds, or a timedelta"),
        ({"delay": "1000"}, "delay='1000' must be an int of milliseconds, or a timedelta"),
        ({"delay": True}, "delay=True must be an int of milliseconds, or a timedelta"),
    ],
)
def test_a_delay_that_can_not_be_meant_is_refused(stub_broker: StubBroker, when: dict[str, Any], text: str) -> None:
    @actor
    def charge() -> None: ...

    with pytest.raises(ArgumentsError) as error:
        charge.send_with_options(**when)

    assert text in str(error.value)
    assert enqueued() == []


def test_a_delay_may_be_a_year(stub_broker: StubBroker) -> None:
    @actor
    def charge() -> None: ...

    charge.send_with_options(delay=timedelta(days=366))

    assert enqueued()[0].delay == timedelta(days=366)


def test_a_delay_together_with_an_eta_is_refused(stub_broker: StubBroker) -> None:
    @actor
    def charge() -> None: ...

    with pytest.raises(ArgumentsError, match=r"^actor 'charge': give delay= or eta=, not both$"):
        charge.send_with_options(delay=1, eta=datetime.now(UTC))


def test_p20_queue_routes_decide_the_queue_of_an_actor(
    unused_broker: Broker[RabbitmqEngine], stub_broker: StubBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "ACTORS_QUEUE_ROUTES", '{"report_*": "slow", "report_yearly": "very_slow", "report_[dw]*": "never"}'
    )

    @actor(queue_name="declared")
    def charge() -> None: ...

    @actor
    def report_daily() -> None: ...

    @actor
    def report_yearly() -> None: ...

    assert [each.send().queue_name for each in (charge, report_daily, report_yearly)] == [
        "declared",
        "slow",
        "very_slow",
    ]


def test_p20_configure_routes_actors_that_are_declared_already(unused_broker: Broker[RabbitmqEngine]) -> None:
    configure(queue_routes={"decorator.monthly_*": "slow"})
    assert monthly_report.message().queue_name == "slow"
    assert "slow" in unused_broker.queues

    configure(queue_routes={})
    assert monthly_report.message().queue_name == "reports"
    assert "slow" not in unused_broker.queues
    assert "reports" in unused_broker.queues


def test_p20_the_prefix_of_the_settings_is_that_of_the_queues(unused_broker: Broker[RabbitmqEngine]) -> None:
    configure(queue_prefix="staging", broker_url="amqp://127.0.0.1:1/")

    assert unused_broker.engine.options.topology.work("default").name.startswith("staging.")


def test_configure_after_the_broker_is_in_use_is_refused_unless_nothing_changes(
    unused_broker: Broker[RabbitmqEngine],
) -> None:
    configure(broker_url="amqp://127.0.0.1:1/")
    assert unused_broker.engine.where == "amqp://127.0.0.1:1/"

    configure(broker_url="amqp://127.0.0.1:1/")
    with pytest.raises(SettingsError) as error:
        configure(broker_url="amqp://127.0.0.1:2/")

    assert str(error.value) == "configure() came too late: the broker is in use; call it before the first send"
    assert unused_broker.engine.options.nodes.urls == ("amqp://127.0.0.1:1/",)


def test_messages_of_an_actor_compose_with_dramatiqs_own_pipelines(stub_broker: StubBroker) -> None:
    received: list[int] = []

    @actor
    def add(left: int, right: int) -> int:
        return left + right

    @actor
    def keep(total: int) -> None:
        received.append(total)

    dramatiq.pipeline([add.message(1, 2), add.message_with_options(args=(10,)), keep.message_with_options()]).run()

    assert drain().done == 3
    assert received == [13]
