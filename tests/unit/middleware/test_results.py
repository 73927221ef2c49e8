from __future__ import annotations

import json
import logging
import threading
from contextlib import suppress
from datetime import date
from decimal import Decimal
from typing import Any

import dramatiq
import pytest
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import Pipelines
from dramatiq.results import ResultError, ResultFailure, ResultMissing, Results, ResultTimeout
from hypothesis import given
from hypothesis import strategies as st

from middleware import Idempotency
from middleware.failure import Failure
from middleware.keys import digest, fingerprint
from middleware.results import (
    UNSTORED,
    RecordedResults,
    ResultConflict,
    ResultNotStored,
    ResultTooLarge,
    ResultUnknown,
    encode_result,
    policy_of,
    value_of,
)
from middleware.stores import Answer, Claim, Ending, MemoryStore, Outcome, Record, Request, StoreUnavailable, Verdict

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_a_result_comes_back_as_json_has_it(value: Any) -> None:
    text = encode_result(value, limit_bytes=10**9)

    assert value_of(text) == value
    assert (text == "") == (value is None)


@given(VALUES | st.builds(object), st.integers(0, 100))
def test_encoding_never_raises_and_never_exceeds_its_limit(value: Any, limit_bytes: int) -> None:
    text = encode_result(value, limit_bytes)

    fields = json.loads(text) if text else {}
    assert list(fields) in ([], ["value"], ["oversize"], ["unstored"])
    if "value" in fields:
        assert len(text.encode()) <= limit_bytes


@given(st.text())
def test_a_text_that_is_no_result_is_refused_and_nothing_else_happens(text: str) -> None:
    with suppress(ResultNotStored, ResultTooLarge):
        value_of(text)


def test_a_result_over_the_limit_leaves_its_size() -> None:
    text = encode_result("x" * 65_536)

    assert json.loads(text) == {"oversize": 65_548}
    with pytest.raises(ResultTooLarge, match=r"^the result was 65,548 bytes, too large to be kept; store the data"):
        value_of(text)


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no text")


def endless() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize("value", [object(), Unprintable(), endless(), {(1, 2): 3}])
def test_a_result_that_is_not_json_leaves_the_reason_and_a_warning(
    value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    text = encode_result(value, of="the result of message m-1")

    (reason,) = json.loads(text).values()
    assert reason.startswith("not JSON: ")
    assert caplog.messages == [f"the result of message m-1 is not kept: {reason}"]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    with pytest.raises(ResultNotStored, match=r"^the result is not kept: not JSON: "):
        value_of(text)


def test_a_reason_is_cut() -> None:
    class Long:
        def __init__(self) -> None:
            type(self).__name__ = "L" * 10_000

    assert len(encode_result(Long())) < 600


def test_what_an_operator_wrote_in_place_of_a_result_is_refused_with_its_text() -> None:
    with pytest.raises(ResultNotStored, match=r"^the result can't be read from its record: 'paid by hand'$"):
        value_of("paid by hand")


def test_results_that_are_not_wanted_say_why() -> None:
    with pytest.raises(ResultNotStored, match=r"store_results=False"):
        value_of(UNSTORED)


class Actor(dramatiq.Actor[..., Any]):
    """An actor whose results are dates."""

    def restore_result(self, value: Any) -> Any:
        return date.fromisoformat(value)


class Application:
    """A broker whose results are in a store, and the worker that writes them there."""

    def __init__(self) -> None:
        self.now = 1_700_000_000_000
        self.store = MemoryStore(lambda: self.now)
        self.looks = 0
        self.results = RecordedResults(self._look)
        self.broker = StubBroker(middleware=[Pipelines(), Results(backend=self.results, store_results=True)])
        # Its options are those of a middleware that these tests leave out.
        self.broker.actor_options |= {"idempotency_key"}

    def declare(
        self, name: str, kind: type[dramatiq.Actor[..., Any]] = dramatiq.Actor, **options: Any
    ) -> dramatiq.Actor[..., Any]:
        def fn(order_id: int, cents: int = 0, before: Any = None) -> None: ...

        return kind(fn, broker=self.broker, actor_name=name, queue_name="default", priority=0, options=options)

    def begin(self, message: dramatiq.Message[Any], *, key: str | None = None, park: bool = False) -> Answer:
        """Claim the key of *message*, as a worker does."""
        return self.store.exchange([], [self._request(message, key, park)])[1][0]

    def end(self, message: dramatiq.Message[Any], ending: Ending, *, key: str | None = None, **outcome: Any) -> None:
        """Run *message*."""
        answer = self.begin(message, key=key)
        assert answer.verdict is Verdict.RUN
        claim = Claim(self._request(message, key), answer.fence)
        assert self.store.exchange([Outcome(claim, ending, **outcome)], [])[0] == [True]

    def lose(self, message: dramatiq.Message[Any]) -> None:
        """Lose the worker that runs *message*, and let another find that out."""
        answer = self.begin(message, park=True)
        assert self.store.mark(Claim(self._request(message, None, park=True), answer.fence))
        self.now += 60_000
        assert self.begin(message, park=True).verdict is Verdict.UNKNOWN

    def get(self, message: dramatiq.Message[Any], **options: Any) -> Any:
        return message.get_result(**options)

    def _look(self) -> MemoryStore:
        self.looks += 1
        return self.store

    def _request(self, message: dramatiq.Message[Any], key: str | None, park: bool = False) -> Request:
        policy = policy_of(self.broker.get_actor(message.actor_name), message)
        key = key or message.options.get("idempotency_key")
        self.now += 1  # and so the token differs
        return Request(
            digest=digest(policy.scope, key or message.message_id),
            scope=policy.scope,
            key=key or message.message_id,
            owner=message.message_id,
            token=str(self.now),
            fingerprint=fingerprint(policy.signature, message.args, message.kwargs) if key else "",
            park=park,
        )


@pytest.fixture
def application(monkeypatch: pytest.MonkeyPatch) -> Application:
    application = Application()
    monkeypatch.setattr(dramatiq.broker, "global_broker", application.broker)
    return application


@pytest.fixture
def charge(application: Application) -> dramatiq.Actor[..., Any]:
    return application.declare("charge")


Charge = dramatiq.Actor[..., Any]


def test_a_result_is_there_once_the_message_is_done(application: Application, charge: Charge) -> None:
    message = charge.message(42)

    application.end(message, Ending.DONE, result=encode_result({"paid": [1, 2.5, None]}))

    assert application.get(message) == {"paid": [1, 2.5, None]}
    assert application.get(message, block=True) == {"paid": [1, 2.5, None]}


def test_the_result_of_an_actor_that_returned_nothing_is_none(application: Application, charge: Charge) -> None:
    message = charge.message(42)

    application.end(message, Ending.DONE, result=encode_result(None))

    assert application.get(message) is None


def test_an_actor_that_restores_results_is_asked_to(application: Application) -> None:
    message = application.declare("due_date", Actor).message(42)

    application.end(message, Ending.DONE, result=encode_result("2026-01-01"))

    assert application.get(message) == date(2026, 1, 1)


def test_a_message_that_has_not_ended_has_no_result_yet(application: Application, charge: Charge) -> None:
    absent, running, waiting, released = (charge.message(number) for number in range(4))
    application.begin(running)
    application.end(waiting, Ending.WAITING, due_ms=1_000, retries=1)
    application.end(released, Ending.DONE, result=encode_result(1))
    application.store.release(digest("charge", released.message_id))

    for message in (absent, running, waiting, released):
        with pytest.raises(ResultMissing, match=rf"^actor 'charge': the result of message {message.message_id} is not"):
            application.get(message)
        with pytest.raises(ResultTimeout, match=rf"^actor 'charge': the result of message {message.message_id} is not"):
            application.get(message, block=True, timeout=1)


def test_a_failed_message_raises_what_it_failed_with(application: Application, charge: Charge) -> None:
    message = charge.message(42)

    application.end(message, Ending.FAILED, error=Failure.of(ValueError("no such order")).text())

    with pytest.raises(ResultFailure, match=r"^actor raised ValueError: no such order$") as failure:
        application.get(message)
    assert (failure.value.orig_exc_type, failure.value.orig_exc_msg) == ("ValueError", "no such order")


def test_an_error_that_is_plain_text_is_raised_with_its_text(application: Application, charge: Charge) -> None:
    message = charge.message(42)

    application.end(message, Ending.FAILED, error="its worker was lost")

    with pytest.raises(ResultFailure, match=r": its worker was lost$"):
        application.get(message)


def test_a_parked_message_says_that_nobody_knows(application: Application, charge: Charge) -> None:
    message = charge.message(42)

    application.lose(message)

    with pytest.raises(ResultUnknown, match=r"parked; an operator completes or releases it$"):
        application.get(message, block=True)


def test_a_result_that_was_not_kept_is_no_reason_to_wait(application: Application, charge: Charge) -> None:
    large, strange = charge.message(1), charge.message(2)
    application.end(large, Ending.DONE, result=encode_result("x" * 65_536))
    application.end(strange, Ending.DONE, result=encode_result(object()))

    with pytest.raises(ResultTooLarge, match=rf"^actor 'charge': the result of message {large.message_id} was 65,548"):
        application.get(large, block=True)
    with pytest.raises(ResultNotStored, match=rf"^actor 'charge': the result of message {strange.message_id} is not"):
        application.get(strange, block=True)


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"idempotent": False}, r"^actor 'log': with idempotent=False nothing is recorded.*; remove it"),
        ({"store_results": False}, r"^actor 'log': its results are not kept; declare it with store_results=True$"),
    ],
)
def test_an_actor_that_keeps_no_results_says_which_option_to_set(
    application: Application, options: dict[str, Any], hint: str
) -> None:
    message = application.declare("log", **options).message(1)

    with pytest.raises(ResultNotStored, match=hint):
        application.get(message, block=True)
    assert application.looks == 0


def test_a_key_of_its_own_guards_a_message_of_an_actor_that_is_not_guarded(application: Application) -> None:
    message = application.declare("log", idempotent=False).message_with_options(args=(1,), idempotency_key="k")

    application.end(message, Ending.DONE, result=encode_result(1))

    assert application.get(message) == 1


def test_results_are_errors_of_dramatiqs(application: Application) -> None:
    errors = [ResultConflict, ResultNotStored, ResultTooLarge, ResultUnknown]

    assert all(issubclass(error, ResultError) for error in errors)
    # Otherwise a group that waits would take one for a result that is still to come.
    assert not any(issubclass(error, ResultMissing | ResultTimeout) for error in errors)


# Keys.


def keyed(actor: Charge, *args: Any, key: str = "k") -> dramatiq.Message[Any]:
    return actor.message_with_options(args=args, idempotency_key=key)


def test_messages_with_one_key_share_its_result(application: Application, charge: Charge) -> None:
    first, second = keyed(charge, 42), keyed(charge, 42)

    application.end(first, Ending.DONE, result=encode_result("paid"))

    assert [application.get(first), application.get(second)] == ["paid", "paid"]


def test_a_scope_keeps_keys_apart(application: Application, charge: Charge) -> None:
    refund = application.declare("refund", scope="money")
    application.end(keyed(charge, 42), Ending.DONE, result=encode_result("paid"))
    application.end(keyed(refund, 42), Ending.DONE, result=encode_result("back"))

    assert application.get(keyed(charge, 42)) == "paid"
    assert application.get(keyed(refund, 42)) == "back"
    assert application.get(keyed(application.declare("refund_all", scope="money"), 42)) == "back"


def test_a_copy_without_its_key_is_found_once_it_has_asked_for_it(application: Application) -> None:
    ship = application.declare("ship", idempotency_key="ship:{order_id}")
    message = ship.message(42)

    with pytest.raises(ResultMissing):
        application.get(message)
    application.end(message, Ending.DONE, key="ship:42", result=encode_result("shipped"))
    assert application.get(message) == "shipped"


@pytest.mark.parametrize("ending", [Ending.DONE, Ending.WAITING])
def test_a_key_that_belongs_to_other_arguments_is_a_conflict(
    application: Application, charge: Charge, ending: Ending
) -> None:
    first, second = keyed(charge, 42, 999), keyed(charge, 42, 1)
    application.end(first, ending)
    assert application.begin(second).verdict is Verdict.CONFLICT

    with pytest.raises(ResultConflict, match=rf"message {first.message_id} has used the key 'k' with other arguments$"):
        application.get(second, block=True)


def test_arguments_that_look_otherwise_and_are_the_same_are_no_conflict(
    application: Application, charge: Charge
) -> None:
    application.end(keyed(charge, 42, 999), Ending.DONE, result=encode_result("paid"))

    message = charge.message_with_options(kwargs={"cents": 999, "order_id": 42}, idempotency_key="k")
    assert application.get(message) == "paid"


def test_what_a_pipeline_adds_is_no_conflict(application: Application) -> None:
    pack = application.declare("pack")
    first, second = (keyed(pack, 42) for _ in range(2))
    piped = [message.copy(args=(42, 0, "result of the one before")) for message in (first, second)]
    application.end(piped[0], Ending.DONE, result=encode_result("packed"))
    assert application.begin(piped[1]).verdict is Verdict.DONE

    assert [application.get(first), application.get(second)] == ["packed", "packed"]


def test_what_only_a_pipeline_completes_is_no_conflict_before_it_has_run(application: Application) -> None:
    pack = application.declare("pack")
    application.end(keyed(pack, 42), Ending.DONE, result=encode_result("packed"))

    assert application.get(keyed(pack)) == "packed"


def test_anothers_failure_is_not_that_of_a_message_that_may_run_yet(application: Application, charge: Charge) -> None:
    first, second = keyed(charge, 42), keyed(charge, 42)
    application.end(first, Ending.FAILED, error=Failure.of(ValueError("no")).text())

    with pytest.raises(ResultMissing):
        application.get(second)
    application.end(second, Ending.DONE, result=encode_result("paid"))
    assert application.get(second) == "paid"


def test_anothers_failure_is_that_of_the_duplicate_which_it_displaced(application: Application, charge: Charge) -> None:
    first, second = keyed(charge, 42), keyed(charge, 42)
    application.end(first, Ending.WAITING, due_ms=5)
    assert application.begin(second).verdict is Verdict.BUSY
    application.now += 60_000
    application.end(first, Ending.FAILED, error=Failure.of(ValueError("no")).text())

    with pytest.raises(ResultFailure, match="no"):
        application.get(second)


def test_anothers_failure_is_not_that_of_a_duplicate_which_waits(application: Application) -> None:
    charge = application.declare("charge", on_duplicate="wait")
    first, second = keyed(charge, 42), keyed(charge, 42)
    application.end(first, Ending.WAITING, due_ms=5)
    assert application.begin(second).verdict is Verdict.BUSY
    application.now += 60_000
    application.end(first, Ending.FAILED, error=Failure.of(ValueError("no")).text())

    with pytest.raises(ResultMissing):
        application.get(second)


def test_a_key_that_is_held_after_a_failure_fails_all(application: Application) -> None:
    charge = application.declare("charge", on_failed="hold")
    application.end(keyed(charge, 42), Ending.FAILED, error=Failure.of(ValueError("no")).text())

    with pytest.raises(ResultFailure, match="no"):
        application.get(keyed(charge, 42))


def test_results_of_an_actor_that_is_not_loaded_here_are_found(application: Application) -> None:
    charge = application.declare("charge", Actor, idempotency_key="charge:{order_id}", scope="money")
    plain = application.declare("plain")
    own, given, unkeyed = charge.message(1), keyed(plain, 2), plain.message(3)
    application.end(own, Ending.DONE, key="charge:1", result=encode_result("2026-01-01"))
    application.end(given, Ending.DONE, result=encode_result("paid"))
    application.end(unkeyed, Ending.DONE, result=encode_result("too"))
    application.broker.actors.clear()

    assert [application.get(each) for each in (own, given, unkeyed)] == ["2026-01-01", "paid", "too"]


# Waiting.


class Scripted(MemoryStore):
    """Answers each look with the next of its steps: None, an error, or a record; the last one goes on."""

    def __init__(self, *steps: Any) -> None:
        super().__init__()
        self.steps = list(steps)
        self.looks = 0

    def inspect(self, digest: str) -> Record | None:
        self.looks += 1
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, Exception):
            raise step
        return super().inspect(digest) if step == "as it is" else None


def test_a_reader_waits_until_the_result_is_there(application: Application, charge: Charge) -> None:
    message = charge.message(42)
    worker = threading.Timer(0.03, application.end, (message, Ending.DONE), {"result": encode_result("paid")})
    worker.start()

    assert application.get(message, block=True, timeout=20_000) == "paid"
    worker.join()


def test_a_reader_looks_less_and_less_often(application: Application, charge: Charge) -> None:
    application.store = store = Scripted(None)

    with pytest.raises(ResultTimeout):
        application.get(charge.message(42), block=True, timeout=100)
    # After 0, 5, 15, 35, 75 and 100 milliseconds; fewer where the machine is slow.
    assert 2 <= store.looks <= 6


def test_a_timeout_of_nothing_is_one_look(application: Application, charge: Charge) -> None:
    application.store = store = Scripted(None)

    with pytest.raises(ResultTimeout):
        application.get(charge.message(42), block=True, timeout=0)
    assert store.looks == 1


def test_a_store_that_is_down_is_asked_again_while_there_is_time(application: Application, charge: Charge) -> None:
    message = charge.message(42)
    application.store = Scripted(StoreUnavailable("down"), None, StoreUnavailable("down"), "as it is")
    application.end(message, Ending.DONE, result=encode_result("paid"))

    assert application.get(message, block=True, timeout=20_000) == "paid"


@pytest.mark.parametrize("options", [{}, {"block": True, "timeout": 20}])
def test_a_store_that_stays_down_is_said_to_be(
    application: Application, charge: Charge, options: dict[str, Any]
) -> None:
    application.store = Scripted(StoreUnavailable("it is down"))

    with pytest.raises(StoreUnavailable, match=r"^it is down$"):
        application.get(charge.message(42), **options)


# In Dramatiq.


def test_nothing_is_stored_beside_the_record(application: Application, charge: Charge) -> None:
    message = dramatiq.MessageProxy(charge.message(42))

    application.broker.emit_after("process_message", message, result=1)
    application.broker.emit_after("skip_message", message)
    message.fail()
    application.broker.emit_after("nack", message)

    assert application.looks == 0


def test_groups_and_pipelines_read_their_results(application: Application, charge: Charge) -> None:
    messages = [charge.message(number) for number in range(3)]
    group = dramatiq.group(messages, broker=application.broker)
    pipeline = dramatiq.pipeline(messages, broker=application.broker)
    for number, message in enumerate(messages[:2]):
        application.end(message, Ending.DONE, result=encode_result(number))

    assert not group.completed
    assert [group.completed_count, pipeline.completed_count] == [2, 2]
    with pytest.raises(ResultMissing):
        pipeline.get_result()

    application.end(messages[2], Ending.DONE, result=encode_result(2))
    assert list(group.get_results(block=True, timeout=1_000)) == [0, 1, 2]
    assert list(pipeline.get_results(block=True, timeout=1_000)) == [0, 1, 2]
    assert pipeline.get_result() == 2
    assert group.completed


class Decimals(dramatiq.Encoder):
    def encode(self, data: Any) -> bytes:
        return json.dumps(data, default=lambda value: {"decimal": str(value)}).encode()

    def decode(self, data: bytes) -> Any:
        return json.loads(
            data, object_hook=lambda fields: Decimal(fields["decimal"]) if "decimal" in fields else fields
        )


def test_an_encoder_that_is_set_after_the_middleware_was_made_is_used(
    application: Application, charge: Charge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dramatiq.message, "global_encoder", Decimals())
    message = charge.message(42)

    application.end(message, Ending.DONE, result=encode_result([Decimal("9.90")]))

    assert application.get(message) == [Decimal("9.90")]


def test_what_a_worker_records_is_what_a_sender_reads(application: Application) -> None:
    broker = application.broker
    broker.add_middleware(Idempotency(store=lambda: application.store), before=Pipelines)

    def add(order_id: int, cents: int = 0) -> int:
        return order_id + cents

    keyed_add = dramatiq.actor(broker=broker, idempotency_key="add:{order_id}")(add)
    divide = dramatiq.actor(broker=broker, actor_name="divide")(lambda by: 1 / by)
    worker = dramatiq.Worker(broker, worker_timeout=10, worker_threads=2)
    worker.start()
    try:
        pipeline = dramatiq.pipeline([keyed_add.message(1, 2), keyed_add.message(10)]).run()
        group = dramatiq.group([keyed_add.message(1, 2), pipeline, divide.message(4)]).run()

        assert list(group.get_results(block=True, timeout=20_000)) == [3, 13, 0.25]
        with pytest.raises(ResultConflict):
            application.get(keyed_add.send(1, 3), block=True)
        with pytest.raises(ResultFailure, match=r"^actor raised ZeroDivisionError: division by zero$"):
            application.get(divide.send(0), block=True)
    finally:
        worker.stop()
