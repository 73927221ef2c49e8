"""What waits for a message goes on once, whichever of its copies comes first."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import dramatiq
import pytest
from dramatiq.errors import BrokerConnectionError
from dramatiq.middleware import Middleware
from dramatiq.results import ResultFailure, ResultMissing

from actors import actor, assembly
from actors.decorator import Actor
from actors.testing import StubBroker, drain, enqueued
from middleware.keys import digest
from middleware.results import ResultNotStored, ResultTooLarge
from middleware.stores import Ending
from tests.conformance.stores.subject import claim, finish

LARGE = 65_536


@pytest.fixture
def ran() -> Counter[str]:
    """How often each actor ran."""
    return Counter()


def packing(ran: Counter[str], **options: Any) -> Actor[..., str]:
    def pack(order: int) -> str:
        ran["pack"] += 1
        return f"box {order}"

    return actor(idempotency_key="{order}", **options)(pack)


@pytest.fixture
def ship(stub_broker: StubBroker, ran: Counter[str]) -> Actor[..., None]:
    def ship(*of: Any) -> None:
        ran["ship"] += 1
        ran[str(of[-1])] += 1

    return actor(ship)


class AwayOnce(Middleware):
    """Keeps the first attempt from publishing what follows it, as a lost connection does."""

    def __init__(self) -> None:
        self.was_away = False

    def after_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy, **_: Any) -> None:
        if not self.was_away:
            self.was_away = True
            raise BrokerConnectionError("away")


def test_the_next_of_a_pipeline_follows_a_duplicate_of_another_message(
    stub_broker: StubBroker, ran: Counter[str], ship: Actor[..., None]
) -> None:
    pack = packing(ran)
    pack.send(1)
    drain()

    dramatiq.pipeline([pack.message(1), ship.message()]).run()
    drain()

    assert ran == {"pack": 1, "ship": 1, "box 1": 1}


def test_the_next_of_a_pipeline_follows_a_message_whose_duplicate_runs_when_it_is_done(
    stub_broker: StubBroker, ran: Counter[str], ship: Actor[..., None]
) -> None:
    holder = claim(assembly.store(), key="1", digest=digest("pack", "1"), owner="another")
    dramatiq.pipeline([packing(ran).message(1), ship.message()]).run()
    drain()
    assert ran == {}

    finish(assembly.store(), holder, Ending.DONE, result='{"value":"box of another"}')
    stub_broker.clock.advance(timedelta(seconds=1))
    drain()

    assert ran == {"ship": 1, "box of another": 1}


@pytest.mark.parametrize("store_results", [True, False])
def test_a_pipeline_goes_on_once_when_a_message_comes_again(
    stub_broker: StubBroker, ran: Counter[str], ship: Actor[..., None], store_results: bool
) -> None:
    stub_broker.add_middleware(AwayOnce())
    dramatiq.pipeline([packing(ran, store_results=store_results).message(1), ship.message()]).run()

    assert [attempt.outcome for attempt in drain().attempts] == ["requeued", "skipped", "done"]
    assert ran == {"pack": 1, "ship": 1, "box 1": 1}


def test_two_copies_of_a_pipeline_message_let_the_next_run_once(
    stub_broker: StubBroker, ran: Counter[str], ship: Actor[..., None]
) -> None:
    # Given a message of a pipeline that is delivered twice
    dramatiq.pipeline([packing(ran).message(1), ship.message()]).run()
    (entry,) = stub_broker.waiting()
    stub_broker.enqueue(dramatiq.Message.decode(entry.body))

    # When both copies have gone their way
    drain()

    # Then each has sent the next, which is one message
    assert ran == {"pack": 1, "ship": 1, "box 1": 1}


def test_a_pipeline_that_needs_a_result_which_was_too_large_to_keep_is_dead(
    stub_broker: StubBroker, ran: Counter[str], ship: Actor[..., None]
) -> None:
    @actor(idempotency_key="report")
    def report() -> str:
        return "x" * LARGE

    report.send()
    drain()
    dramatiq.pipeline([report.message(), ship.message()]).run()

    assert drain(raises=False).dead == 1
    (letter,) = stub_broker.dead_letters
    assert letter.options["traceback"].startswith("its pipeline can't go on: the result was 65,548 bytes")
    assert (ran, enqueued()) == ({}, [])


def test_a_group_completes_once_when_its_members_come_twice(
    stub_broker: StubBroker, ran: Counter[str], ship: Actor[..., None]
) -> None:
    # Given a group, each member of which is delivered twice
    pack = packing(ran)
    group = dramatiq.group([pack.message(1), pack.message(2)])
    group.add_completion_callback(ship.message("all"))
    group.run()
    for entry in stub_broker.waiting():
        stub_broker.enqueue(dramatiq.Message.decode(entry.body))

    # When the first member has come twice, and the second not at all
    first, second, *copies = stub_broker.waiting()
    stub_broker.queues["default"] = [first, copies[0]]
    drain()
    assert ran == {"pack": 1}
    stub_broker.queues["default"] = [second, copies[1]]
    drain()

    # Then its callback runs when the second has, and once
    assert ran == {"pack": 2, "ship": 1, "all": 1}


def test_a_member_of_a_group_that_is_a_duplicate_of_another_message_arrives(
    stub_broker: StubBroker, ran: Counter[str], ship: Actor[..., None]
) -> None:
    pack = packing(ran)
    pack.send(1)
    drain()
    group = dramatiq.group([pack.message(1), pack.message(2)])
    group.add_completion_callback(ship.message("all"))
    group.run()
    drain()

    assert ran == {"pack": 2, "ship": 1, "all": 1}


def test_a_success_is_reported_once_when_a_message_comes_again(
    stub_broker: StubBroker, ran: Counter[str], ship: Actor[..., None]
) -> None:
    stub_broker.add_middleware(AwayOnce())
    packing(ran, on_success="ship").send(1)

    assert [attempt.outcome for attempt in drain().attempts] == ["requeued", "skipped", "done"]
    assert ran == {"pack": 1, "ship": 1, "box 1": 1}


def test_a_success_is_reported_to_each_message_that_asked(
    stub_broker: StubBroker, ran: Counter[str], ship: Actor[..., None]
) -> None:
    pack = packing(ran, on_success="ship")
    pack.send(1)
    pack.send(1)
    drain()

    assert ran == {"pack": 1, "ship": 2, "box 1": 2}


def test_a_final_failure_is_reported_once_when_a_message_comes_again(
    stub_broker: StubBroker, ran: Counter[str], ship: Actor[..., None]
) -> None:
    @actor(max_retries=0, on_failure="ship")
    def pack() -> None:
        ran["pack"] += 1
        raise LookupError("no such order")

    message = pack.send()
    drain(raises=False)
    stub_broker.enqueue(message)
    drain(raises=False)

    assert ran == {
        "pack": 1,
        "ship": 1,
        "{'reason': 'exhausted', 'type': 'LookupError', 'message': 'no such order'}": 1,
    }


def test_the_first_message_and_its_duplicate_have_the_same_result(stub_broker: StubBroker, ran: Counter[str]) -> None:
    pack = packing(ran)
    first, second = pack.send(1), pack.send(1)
    with pytest.raises(ResultMissing):
        first.get_result()
    drain()

    assert first.get_result(block=True, timeout=1_000) == "box 1"
    assert second.get_result(block=True, timeout=1_000) == "box 1"
    assert ran == {"pack": 1}


def test_a_result_over_64_kib_is_not_kept_and_says_so(
    stub_broker: StubBroker, caplog: pytest.LogCaptureFixture
) -> None:
    @actor
    def report() -> str:
        return "x" * LARGE

    message = report.send()
    assert drain().done == 1

    with pytest.raises(ResultTooLarge, match=r"was 65,548 bytes, too large to be kept"):
        message.get_result(block=True, timeout=1_000)
    assert "is not kept: it is 65548 bytes" in caplog.text


def test_the_error_of_a_final_failure_is_its_result(stub_broker: StubBroker) -> None:
    @actor(max_retries=1)
    def charge() -> None:
        raise LookupError("no such order")

    message = charge.send()
    drain(retries=True)
    with pytest.raises(ResultMissing):
        message.get_result()
    drain(raises=False, with_delays=True)

    with pytest.raises(ResultFailure, match=r"^actor raised LookupError: no such order$"):
        message.get_result(block=True, timeout=1_000)


def test_a_result_that_is_not_wanted_is_not_kept(stub_broker: StubBroker, ran: Counter[str]) -> None:
    message = packing(ran, store_results=False).send(1)
    drain()

    record = assembly.store().inspect(digest("pack", "1"))
    assert record is not None
    assert "box" not in record.result
    with pytest.raises(ResultNotStored):
        message.get_result()
