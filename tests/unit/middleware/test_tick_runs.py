"""How the messages of ticks end is recorded: each end once, and nothing that is no end."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from typing import Any, NoReturn

import dramatiq
import pytest
from dramatiq.middleware import Middleware, SkipMessage

from actors import actor
from actors.testing import StubBroker, drain
from middleware import TickRun, TickRuns

TICK = {"schedule": "nightly", "time": "2030-01-01T09:00:00+00:00", "pace": "days"}


class Records:
    """What was recorded, and under which pace."""

    def __init__(self) -> None:
        self.runs: list[TickRun] = []
        self.paces: list[str] = []

    def take(self, _: dramatiq.Broker, pace: str, record: bytes) -> None:
        self.runs.append(TickRun.decode(record))
        self.paces.append(pace)


@pytest.fixture
def records(stub_broker: StubBroker, monkeypatch: pytest.MonkeyPatch) -> Records:
    """The records of the stub broker's messages."""
    records = Records()
    [middleware] = [each for each in stub_broker.middleware if isinstance(each, TickRuns)]
    monkeypatch.setattr(middleware, "_record", records.take)
    return records


def send(work: Callable[..., Any], tick: Any = TICK, **options: Any) -> dramatiq.Message[Any]:
    """Declare *work* as ``charge``, and send it the message of a tick."""
    charge = actor(**{"actor_name": "charge", "min_backoff": 1, **options})(work)
    return send_tick(charge, tick)


def send_tick(charge: Any, tick: Any = TICK) -> dramatiq.Message[Any]:
    message: dramatiq.Message[Any] = charge.message()
    message = message.copy(options={**message.options, "tick": tick})
    charge.broker.enqueue(message)
    return message


def drain_all() -> None:
    drain(with_delays=True, raises=False)


def fail() -> NoReturn:
    raise ValueError("no luck")


def test_a_success_is_recorded_with_what_it_returned_when_it_began_and_who_ran_it(records: Records) -> None:
    began = time.time_ns() // 1_000_000
    message = send(lambda: {"sent": 3})
    drain_all()

    [run] = records.runs
    assert (run.schedule, run.time, run.by) == ("nightly", TICK["time"], "schedule")
    assert (run.message_id, run.actor, run.outcome) == (message.message_id, "charge", "done")
    assert (run.attempt, run.result, run.error) == (1, '{"sent":3}', "")
    assert run.worker == f"{socket.gethostname()}:{os.getpid()}"
    assert run.started is not None
    assert run.duration_ms is not None
    assert began <= run.started <= run.ended <= time.time_ns() // 1_000_000
    assert 0 <= run.duration_ms <= run.ended - run.started + 1
    assert records.paces == ["days"]


def test_a_message_of_no_tick_is_not_recorded(records: Records) -> None:
    actor(actor_name="charge")(lambda: None).send()
    drain_all()
    assert records.runs == []


@pytest.mark.parametrize("tick", [None, 5, [], {}, {"schedule": "nightly"}])
def test_an_option_that_says_something_else_is_not_recorded_and_harms_nothing(
    records: Records, tick: Any, caplog: pytest.LogCaptureFixture
) -> None:
    ran: list[int] = []
    send(lambda: ran.append(1), tick)
    drain_all()
    assert (ran, records.runs) == ([1], [])
    assert "unexpected failure" not in caplog.text


@pytest.mark.parametrize(
    ("retries", "attempts"), [(0, 1), (2, 3)], ids=["at its first attempt", "when its retries are used up"]
)
def test_a_failure_is_recorded_when_it_is_final(records: Records, retries: int, attempts: int) -> None:
    send(fail, max_retries=retries)
    drain_all()

    [run] = records.runs
    assert (run.outcome, run.attempt, run.error) == ("failed", attempts, "ValueError: no luck")
    assert run.started is not None


def test_a_success_after_a_failure_is_recorded_alone_with_its_attempt(records: Records) -> None:
    calls: list[int] = []

    def at_second() -> None:
        calls.append(1)
        if len(calls) == 1:
            fail()

    send(at_second)
    drain_all()
    assert [(run.outcome, run.attempt) for run in records.runs] == [("done", 2)]


def test_one_that_expires_before_it_runs_has_failed_and_not_started(records: Records) -> None:
    charge = actor(actor_name="charge", max_age=1)(lambda: None)
    message = charge.message()
    charge.broker.enqueue(message.copy(message_timestamp=1, options={**message.options, "tick": TICK}))
    drain_all()

    [run] = records.runs
    assert (run.outcome, run.attempt) == ("failed", 1)
    assert "max_age" in run.error or "old" in run.error


class Failing(Middleware):
    """Fails messages whose actors have returned, as where what follows them can't be sent."""

    def after_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy, **_: Any) -> None:
        message.fail()


def test_one_that_fails_though_its_actor_has_returned_is_recorded_once(
    stub_broker: StubBroker, records: Records
) -> None:
    stub_broker.add_middleware(Failing())
    send(lambda: None)
    drain_all()
    assert [run.outcome for run in records.runs] == ["failed"]


class Skipping(Middleware):
    """Skips all messages, and says why."""

    def before_process_message(self, broker: dramatiq.Broker, message: dramatiq.MessageProxy) -> None:
        message.skip_reason = "an earlier one runs"  # type: ignore[attr-defined]
        raise SkipMessage("an earlier one runs")


def test_one_that_a_middleware_skips_is_recorded_with_its_reason(stub_broker: StubBroker, records: Records) -> None:
    stub_broker.add_middleware(Skipping())
    send(lambda: None)
    drain_all()
    assert [(run.outcome, run.error) for run in records.runs] == [("skipped", "an earlier one runs")]


def test_a_copy_that_its_key_does_not_let_run_is_no_run(stub_broker: StubBroker, records: Records) -> None:
    message = send(lambda: None)
    drain_all()
    stub_broker.enqueue(message)
    drain_all()
    assert [run.outcome for run in records.runs] == ["done"]


def test_a_dead_letter_that_is_forwarded_once_more_is_no_second_failure(
    stub_broker: StubBroker, records: Records
) -> None:
    message = send(fail, max_retries=0)
    drain_all()
    stub_broker.enqueue(message)
    drain_all()
    assert [run.outcome for run in records.runs] == ["failed"]


@pytest.mark.parametrize("result", ["x" * 1_000, "日" * 1_000])
def test_a_long_result_and_a_long_error_are_cut(records: Records, result: str) -> None:
    def raising() -> None:
        raise ValueError(result)

    send(lambda: result)
    drain_all()
    charge = actor(actor_name="refund", max_retries=0)(raising)
    send_tick(charge)
    drain_all()

    done, failed = records.runs
    assert len(done.result) == len(failed.error) == 200
    assert done.result.startswith('"' + result[:1])
    assert failed.error.startswith("ValueError: ")


def test_the_result_of_an_actor_that_stores_none_is_not_recorded(records: Records) -> None:
    send(lambda: "secret", store_results=False)
    drain_all()
    assert [(run.outcome, run.result) for run in records.runs] == [("done", "")]


def test_what_can_not_be_json_does_not_keep_the_run_from_being_recorded(records: Records) -> None:
    send(lambda: object())
    drain_all()
    [run] = records.runs
    assert run.outcome == "done"
    assert "not JSON" in run.result


def test_who_enqueued_it_is_recorded_and_a_tick_without_a_pace_has_one(records: Records) -> None:
    tick = {name: value for name, value in TICK.items() if name != "pace"}
    send(lambda: None, {**tick, "by": "backfill"})
    drain_all()
    assert [run.by for run in records.runs] == ["backfill"]
    assert records.paces == ["hours"]


def run(**fields: Any) -> TickRun:
    told = {"schedule": "日本", "time": "t", "by": "schedule", "message_id": "m", "actor": "charge", "outcome": "done"}
    return TickRun(**{**told, "ended": 5, "started": 3, "duration_ms": 2, "attempt": 1, "worker": "w", **fields})


@pytest.mark.parametrize("record", [run(result="7"), run(outcome="failed", started=None, duration_ms=None, error="no")])
def test_a_record_is_what_it_was_after_its_way(record: TickRun) -> None:
    assert TickRun.decode(record.encode()) == record


def test_what_a_later_version_adds_is_left_out() -> None:
    body = json.loads(run().encode()) | {"more": 1}
    assert TickRun.decode(json.dumps(body).encode()) == run()


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"[]", b"{}", b'{"schedule": 5}', run().encode().replace(b"5", b"null")]
)
def test_what_is_no_record_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="is no record of a run"):
        TickRun.decode(body)
