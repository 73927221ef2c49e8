"""The thread that tells: how often, what it publishes, and that nothing depends on it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

import actors.fleet.pulse
from actors.fleet import Interest, Report
from actors.fleet.memory import MemoryFleet
from actors.fleet.outbox import Outbox
from actors.fleet.pulse import Pulse
from actors.fleet.report import State
from middleware import AttemptLog
from middleware.stores import StoreUnavailable
from services.deadline import until
from tests.unit.actors.fleet.scene import ended, report

FEW_S = 10


class Counting(MemoryFleet):
    """Counts calls; raises while it is down."""

    def __init__(self) -> None:
        super().__init__()
        self.beats = self.looks = 0
        self.published: list[str] = []
        self.is_down: Exception | None = None
        self.last = ""

    def beat(self, member: str, text: str, *, keep_ms: int) -> Interest:
        self._require()
        self.beats += 1
        self.last = text
        return super().beat(member, text, keep_ms=keep_ms)

    def interest(self) -> Interest:
        self._require()
        self.looks += 1
        return super().interest()

    def publish(self, events: Sequence[str]) -> None:
        self._require()
        self.published += events

    def _require(self) -> None:
        if self.is_down is not None:
            raise self.is_down


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> Counting:
    monkeypatch.setattr(actors.fleet.pulse, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(actors.fleet.pulse, "PUBLISH_EVERY_S", 0.01)
    return Counting()


@pytest.fixture
def outbox() -> Outbox:
    return Outbox("m", AttemptLog().fields, time.monotonic)


Start = Callable[[float], Pulse]


@pytest.fixture
def start(fleet: Counting, outbox: Outbox) -> Iterator[Start]:
    """Return a function that starts one which tells by itself so often."""
    started: list[Pulse] = []

    def made(beat_every_s: float) -> Pulse:
        def told(every_s: float, is_followed: bool) -> Report:
            return report(member="m", every_ms=int(every_s * 1_000), is_followed=is_followed)

        pulse = Pulse(lambda: fleet, "m", told, outbox, beat_every_s=beat_every_s)
        pulse.start()
        started.append(pulse)
        return pulse

    yield made
    fleet.is_down = None
    for pulse in started:
        pulse.end()


def test_it_tells_by_itself_and_looks_in_between(fleet: Counting, start: Start) -> None:
    start(0.2)
    until(lambda: fleet.beats == 3, seconds=FEW_S, what="three reports")
    assert fleet.looks >= 3
    assert [each.member for each in fleet.members()] == ["m"]


def test_nothing_is_published_while_nobody_follows(fleet: Counting, start: Start, outbox: Outbox) -> None:
    start(60.0)
    until(lambda: fleet.looks >= 1, seconds=FEW_S, what="a look")
    outbox([ended()])
    seen = fleet.looks
    until(lambda: fleet.looks >= seen + 3, seconds=FEW_S, what="more looks")
    assert fleet.published == []
    assert fleet.beats == 1


def test_who_follows_is_told_at_once_by_a_report_and_then_of_each_attempt(
    fleet: Counting, start: Start, outbox: Outbox
) -> None:
    start(60.0)
    until(lambda: fleet.looks >= 1, seconds=FEW_S, what="a look")
    fleet.want(Interest(followed=True), for_ms=60_000)
    until(lambda: Report.decode(fleet.last).is_followed, seconds=FEW_S, what="a report that says so")
    outbox([ended()])
    until(lambda: fleet.published, seconds=FEW_S, what="the event")
    assert fleet.beats == 2


def test_while_somebody_watches_it_tells_more_often(fleet: Counting, start: Start) -> None:
    fleet.want(Interest(watched=True), for_ms=60_000)
    start(60.0)
    until(lambda: fleet.beats >= 4, seconds=FEW_S, what="reports")
    assert Report.decode(fleet.last).every_ms == 20


def test_at_its_end_it_publishes_what_is_left_and_is_forgotten(fleet: Counting, start: Start, outbox: Outbox) -> None:
    fleet.want(Interest(followed=True), for_ms=60_000)
    pulse = start(60.0)
    until(lambda: fleet.beats == 2, seconds=FEW_S, what="a report")
    outbox([ended()])
    pulse.end()
    assert len(fleet.published) == 1
    assert fleet.members() == []


def test_an_outage_is_said_once_and_it_goes_on_after_it(
    fleet: Counting, start: Start, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    fleet.is_down = StoreUnavailable("the store does not answer: refused")
    with caplog.at_level(logging.INFO, logger="actors.fleet"):
        start(0.02)
        until(lambda: caplog.records, seconds=FEW_S, what="a warning")
        outbox([ended()])
        fleet.is_down = None
        until(lambda: fleet.beats >= 1, seconds=FEW_S, what="a report")
        # It is said once the report is kept.
        until(lambda: len(caplog.records) > 1, seconds=FEW_S, what="a word that it goes on")
    warning, again = caplog.records
    assert (warning.levelno, again.levelno) == (logging.WARNING, logging.INFO)
    assert "are not kept" in warning.message
    assert "the store does not answer: refused" in warning.message
    assert fleet.published == []


def test_a_fault_of_its_own_does_not_end_it(fleet: Counting, start: Start, caplog: pytest.LogCaptureFixture) -> None:
    fleet.is_down = ZeroDivisionError("unforeseen")
    with caplog.at_level(logging.WARNING, logger="actors.fleet"):
        start(0.02)
        until(lambda: caplog.records, seconds=FEW_S, what="a warning")
    assert caplog.records[0].exc_info is not None
    fleet.is_down = None
    until(lambda: fleet.beats >= 1, seconds=FEW_S, what="a report")


def test_a_worker_that_stops_does_not_wait_for_a_silent_store(
    fleet: Counting, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actors.fleet.pulse, "LAST_WAIT_S", 0.05)
    silent = threading.Event()
    pulse = start(60.0)
    until(lambda: fleet.looks >= 1, seconds=FEW_S, what="a look")
    monkeypatch.setattr(fleet, "interest", lambda: silent.wait(FEW_S) and Interest())
    time_s = time.monotonic()
    pulse.end()
    assert time.monotonic() - time_s < FEW_S / 2
    silent.set()


def test_while_it_is_paused_it_tells_more_often_so_that_its_end_is_seen(fleet: Counting, outbox: Outbox) -> None:
    pulse = Pulse(lambda: fleet, "m", lambda *_: report(state=State.PAUSED), outbox, beat_every_s=60.0)
    pulse.start()
    try:
        until(lambda: fleet.beats >= 3, seconds=FEW_S, what="reports")
    finally:
        pulse.end()
