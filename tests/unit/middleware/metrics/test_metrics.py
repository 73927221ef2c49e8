"""What becomes of messages is counted as it happens."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import dramatiq
import pytest
from dramatiq.middleware import TimeLimitExceeded

from actors import actor, assembly
from actors.testing import StubBroker, drain
from middleware import Ended, Metrics
from middleware.guarded import note_again
from middleware.letter import Letter
from middleware.metrics import catalogue
from middleware.metrics.labels import Labels
from tests.unit.middleware.metrics.numbers import Numbers


@pytest.fixture
def numbers(stub_broker: StubBroker) -> Iterator[Numbers]:
    """What is counted of the stub broker's messages."""
    found, before = Numbers(), assembly.metrics.sink
    assembly.metrics.sink = found
    yield found
    assembly.metrics.sink = before


def test_each_attempt_is_counted_by_its_outcome(stub_broker: StubBroker, numbers: Numbers) -> None:
    @actor(max_retries=2, min_backoff=10)
    def charge(number: int) -> None:
        if number:
            raise LookupError(number)

    for number in (0, 0, 1):
        charge.send(number)
    drain(raises=False, with_delays=True)

    assert numbers.of(catalogue.ATTEMPTS) == {
        ("charge", "default", "done"): 2,
        ("charge", "default", "retried"): 2,
        ("charge", "default", "dead"): 1,
    }
    assert numbers.of(catalogue.WAIT) == numbers.of(catalogue.DURATION) == {("charge", "default"): 5}
    assert numbers.of(catalogue.DEAD_LETTERS) == {("charge", "default", "exhausted"): 1}
    assert numbers.of(catalogue.IDEMPOTENCY) == {("run",): 5}


def test_a_message_counts_once_as_sent_however_often_it_is_tried(stub_broker: StubBroker, numbers: Numbers) -> None:
    @actor(max_retries=2, min_backoff=10, idempotency_key="all", on_duplicate="wait")
    def charge() -> None:
        raise LookupError

    charge.send()
    charge.send_with_options(delay=timedelta(seconds=5))
    drain(raises=False, with_delays=True)

    assert numbers.of(catalogue.ENQUEUED) == {("charge", "default"): 2}
    assert sum(numbers.of(catalogue.ATTEMPTS).values()) >= 6


def test_a_message_that_looks_again_is_no_new_one(stub_broker: StubBroker, numbers: Numbers) -> None:
    message: dramatiq.Message[Any] = dramatiq.Message("default", "charge", (), {}, {})
    note_again(dramatiq.MessageProxy(message))
    assembly.metrics.after_enqueue(stub_broker, message, 1_000)
    assert numbers.of(catalogue.ENQUEUED) == {}


def test_a_duplicate_is_counted_and_has_no_duration(stub_broker: StubBroker, numbers: Numbers) -> None:
    @actor(idempotency_key="order:{number}")
    def charge(number: int) -> None: ...

    for _ in range(3):
        charge.send(1)
    drain()

    assert numbers.of(catalogue.ATTEMPTS) == {("charge", "default", "done"): 1, ("charge", "default", "duplicate"): 2}
    assert numbers.of(catalogue.DURATION) == {("charge", "default"): 1}
    assert numbers.of(catalogue.IDEMPOTENCY) == {("run",): 1, ("duplicate",): 2}


def test_the_first_attempt_after_a_replay_and_no_other_counts_as_one(stub_broker: StubBroker, numbers: Numbers) -> None:
    @actor(max_retries=1, min_backoff=10)
    def charge() -> None:
        raise LookupError

    message = charge.message()
    stub_broker.enqueue(message.copy(options={**message.options, "replays": 2}))
    drain(raises=False, with_delays=True)

    assert numbers.of(catalogue.REPLAYS) == {("charge", "default"): 1}
    assert sum(numbers.of(catalogue.ATTEMPTS).values()) == 2


def ended(outcome: str, *, actor: str = "charge", error: BaseException | None = None, **times: Any) -> Ended:
    message: dramatiq.Message[Any] = dramatiq.Message("default", actor, (), {}, {})
    return Ended(
        dramatiq.MessageProxy(message), outcome, error, times.get("wait_ms", 0), times.get("duration_ms", 0), 0
    )


@pytest.fixture
def metrics() -> Any:
    """Return metrics that count for a test, of one actor and one queue."""
    made = Metrics(Numbers())
    broker = dramatiq.brokers.stub.StubBroker(middleware=[made])
    dramatiq.actor(broker=broker, actor_name="charge")(lambda: None)
    return made


def test_what_a_batch_comes_to_is_added_up_first(metrics: Metrics) -> None:
    numbers = metrics.sink
    assert isinstance(numbers, Numbers)
    metrics([ended("done", wait_ms=5, duration_ms=5.1), ended("done", wait_ms=6, duration_ms=2_500.0)])
    by_bucket = {(each.metric, each.bucket): amount for each, amount in numbers.amounts.items()}
    # A bucket's upper end belongs to it.
    assert (by_bucket[catalogue.WAIT, 0], by_bucket[catalogue.WAIT, 1]) == (1, 1)
    assert (by_bucket[catalogue.DURATION, 1], by_bucket[catalogue.DURATION, 8]) == (1, 1)
    assert by_bucket[catalogue.WAIT, -1] == pytest.approx(0.011)
    assert by_bucket[catalogue.DURATION, -1] == pytest.approx(2.5051)


def test_a_time_limit_that_was_hit_is_counted(metrics: Metrics) -> None:
    metrics([ended("retried", error=TimeLimitExceeded()), ended("dead", error=LookupError())])
    assert metrics.sink.of(catalogue.TIME_LIMITS) == {("charge", "default"): 1}  # type: ignore[attr-defined]


def test_what_others_send_has_no_label_of_its_own(metrics: Metrics) -> None:
    message: dramatiq.Message[Any] = dramatiq.Message("their.queue", "their_actor", (), {}, {})
    metrics([Ended(dramatiq.MessageProxy(message), "dead", None, 0, 0.0, 0.0)])
    metrics.died(
        Letter(
            id="1", message_id="1", queue="q", reason="?", error_type="", error="", fingerprint="", died=0, actor="x"
        )
    )
    numbers = metrics.sink
    assert isinstance(numbers, Numbers)
    assert numbers.of(catalogue.ATTEMPTS) == {("unknown", "unknown", "dead"): 1}
    assert numbers.of(catalogue.DEAD_LETTERS) == {("unknown", "unknown", "unknown"): 1}


def test_beyond_a_limit_names_share_a_label() -> None:
    labels = Labels(most=2)
    for name in ("a", "b", "c", "a"):
        labels.declare(name)
    assert [labels[name] for name in ("a", "b", "c", "d", "a.DQ", None)] == [
        "a",
        "b",
        "other",
        "unknown",
        "a",
        "unknown",
    ]


def test_a_disk_that_is_full_keeps_no_message_from_its_end(metrics: Metrics, caplog: pytest.LogCaptureFixture) -> None:
    class Full:
        def add(self, amounts: object) -> None:
            raise OSError("no space left on device")

    metrics.sink = Full()
    for _ in range(3):
        metrics([ended("done")])
    assert caplog.text.count("can't be counted") == 1
