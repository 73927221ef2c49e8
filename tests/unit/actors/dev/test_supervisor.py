"""The loop, with processes that do what the test says, and time that passes when it says so."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from actors.dev.supervisor import MOST_WAITING, Supervisor

Record = dict[str, Any]

STARTED = ["worker starting", "worker ready", "scheduler starting", "scheduler ready"]
STOP = {"event": "stop", "why": ""}
CHANGED = {"event": "changed", "paths": ["shop.py"], "files": 1}


class Process:
    """One life of a process; it ends in order when it is told to, unless it is stubborn."""

    def __init__(self, play: Play, name: str) -> None:
        self._play, self._name = play, name
        self.is_stubborn = False

    def stop(self) -> None:
        if not self.is_stubborn:
            self.exit(0)

    def kill(self) -> None:
        self.exit(-9)

    def exit(self, status: int, why: str = "") -> None:
        del self._play.running[self._name]
        self._play.reported.append({"event": "exit", "process": self._name, "status": status, "why": why})

    def ready(self) -> None:
        event = "ready" if self._name == "worker" else "schedules"
        self._play.reported.append({"event": event, "process": self._name})


class Play:
    """A supervisor of a worker and a scheduler, of which never two run at once."""

    def __init__(self, *, ends_when_broken: bool = False) -> None:
        self.now_s = 0.0
        self.running: dict[str, Process] = {}
        self.reported: list[Record] = []
        self.states: list[str] = []
        self.whys: list[str] = []
        starts = {name: self._start(name) for name in ("worker", "scheduler")}
        self.supervisor = Supervisor(starts, ends_when_broken=ends_when_broken, clock=lambda: self.now_s)
        self.turn()

    def turn(self, *records: Record) -> None:
        """Report *records*, and go on until nothing follows from them."""
        self.reported += records
        while True:
            reported, self.reported = self.reported, []
            for record in self.supervisor.turn(reported):
                if record["event"] == "state":
                    self.states.append(f"{record['process']} {record['state']}")
                    self.whys += [record["why"]] if record["why"] else []
            if not self.reported:
                return

    def begin(self) -> None:
        for name in ("worker", "scheduler"):
            self.running[name].ready()
            self.turn()
        assert self.states == STARTED
        self.states.clear()

    def _start(self, name: str) -> Callable[[Callable[[Record], None]], Process]:
        def start(_: object) -> Process:
            assert name not in self.running, "two at once"
            return self.running.setdefault(name, Process(self, name))

        return start


@pytest.fixture
def play() -> Play:
    return Play()


def test_the_scheduler_is_started_when_the_worker_is_ready(play: Play) -> None:
    assert set(play.running) == {"worker"}
    play.begin()
    assert set(play.running) == {"worker", "scheduler"}


def test_a_change_ends_both_and_then_starts_them_again(play: Play) -> None:
    play.begin()
    play.turn(CHANGED)
    assert play.states == [
        *("scheduler stopping", "worker stopping", "scheduler ended", "worker ended"),
        "worker starting",
    ]


def test_nothing_is_started_before_the_last_has_ended(play: Play) -> None:
    play.begin()
    worker = play.running["worker"]
    worker.is_stubborn = True
    play.turn(CHANGED)
    assert play.states == ["scheduler stopping", "worker stopping", "scheduler ended"]
    play.turn(CHANGED, CHANGED)
    assert set(play.running) == {"worker"}
    worker.exit(-9, "still there")
    play.turn()
    assert play.states[3:] == ["worker ended", "worker starting"]
    assert play.whys == ["still there"]


def test_a_change_while_a_process_starts_starts_it_again(play: Play) -> None:
    play.turn(CHANGED)
    assert play.states == ["worker starting", "worker stopping", "worker ended", "worker starting"]


def test_one_that_dies_is_started_again_after_a_pause_and_the_other_goes_on(play: Play) -> None:
    play.begin()
    scheduler = play.running["scheduler"]
    play.now_s = 60
    play.running["worker"].exit(1)
    play.turn()
    assert (play.states, play.whys) == (["worker waiting"], ["exit status 1; started again in 0.5 s"])
    play.now_s = 60.4
    play.turn()
    assert "worker" not in play.running
    play.now_s = 60.5
    play.turn()
    play.running["worker"].ready()
    play.turn()
    assert play.states[1:] == ["worker starting", "worker ready"]
    assert play.running["scheduler"] is scheduler


def test_one_that_dies_again_and_again_waits_longer_until_the_code_changes(play: Play) -> None:
    for pause_s in (0.5, 1, 2):
        play.running["worker"].exit(-11)
        play.turn()
        assert play.whys[-1] == f"killed by signal 11; started again in {pause_s:g} s"
        play.now_s += pause_s
        play.turn()
    play.turn(CHANGED)
    play.running["worker"].exit(-11)
    play.turn()
    assert play.whys[-1] == "killed by signal 11; started again in 0.5 s"


def test_one_that_waits_for_its_pause_is_started_at_once_with_new_code(play: Play) -> None:
    play.running["worker"].exit(1)
    play.turn()
    play.turn(CHANGED)
    assert set(play.running) == {"worker"}


def test_code_that_can_not_be_imported_is_waited_for(play: Play) -> None:
    play.begin()
    play.turn(CHANGED)
    play.running["worker"].exit(2)
    play.turn()
    play.now_s = 3_600
    play.turn()
    assert play.states[-1] == "worker broken"
    assert play.whys == ["exit status 2; waiting for a change"]
    assert play.running == {}
    play.turn(CHANGED)
    assert set(play.running) == {"worker"}


def test_where_no_change_can_come_all_ends_with_what_is_broken() -> None:
    play = Play(ends_when_broken=True)
    play.begin()
    play.running["scheduler"].exit(2)
    play.turn()
    assert play.supervisor.is_over
    assert play.supervisor.is_broken
    assert play.states == ["scheduler broken", "worker stopping", "worker ended"]
    assert play.whys == ["exit status 2; ending"]


def test_a_stop_ends_all_and_a_change_brings_nothing_back(play: Play) -> None:
    play.begin()
    play.running["worker"].is_stubborn = True
    play.turn(STOP, CHANGED)
    assert set(play.running) == {"worker"}
    play.running["worker"].exit(0)
    play.turn()
    assert play.supervisor.is_over
    assert not play.supervisor.is_broken
    assert play.states == ["scheduler stopping", "worker stopping", "scheduler ended", "worker ended"]


def test_a_stop_within_a_reload_ends_all(play: Play) -> None:
    play.begin()
    play.running["worker"].is_stubborn = True
    play.turn(CHANGED)
    play.turn(STOP)
    play.running["worker"].exit(0)
    play.turn()
    assert play.supervisor.is_over


def test_a_second_stop_kills_what_is_left(play: Play) -> None:
    play.begin()
    play.running["worker"].is_stubborn = True
    play.turn(STOP)
    play.turn(STOP)
    assert play.supervisor.is_over


def test_where_nobody_reads_any_more_all_ends_and_nothing_is_killed(play: Play) -> None:
    play.begin()
    play.running["worker"].is_stubborn = True
    play.turn({"event": "unread"})
    play.turn({"event": "unread"})
    assert set(play.running) == {"worker"}
    play.running["worker"].exit(0)
    play.turn()
    assert play.supervisor.is_over


def test_the_loop_takes_reports_from_signals_until_all_has_ended() -> None:
    play = Play()
    shown: list[Record] = []

    def show(records: list[Record]) -> None:
        shown.extend(records)
        for record in play.reported:
            play.supervisor.report(record)
        play.reported.clear()

    play.supervisor.report(STOP)
    play.supervisor.run(show)
    assert [each["event"] for each in shown] == ["stop", "state", "exit", "state"]


def test_who_reports_more_than_is_taken_waits_until_there_is_room() -> None:
    supervisor = Supervisor({})
    for _ in range(MOST_WAITING):
        supervisor.report_in_turn(CHANGED)
    writer = threading.Thread(target=supervisor.report_in_turn, args=(CHANGED,))
    writer.start()
    supervisor.report(STOP)  # a signal does not wait
    assert writer.is_alive()
    supervisor.run(lambda _: None)
    writer.join(10)
    assert not writer.is_alive()
