"""`actors status`, `top` and `events`: what they print of what was seen, and how they end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from actors import assembly
from actors.cli.exits import ExitStatus
from actors.fleet import ActorWork
from actors.fleet.deployment import Deployment, Problem, QueueState, Worker
from actors.fleet.memory import MemoryFleet
from actors.operating import Standing
from middleware.stores import StoreUnavailable
from tests.unit.actors.conftest import Application
from tests.unit.actors.fleet.scene import NOW, running, worker

WORKER = worker(
    2_300,
    running=(running(), running("late", NOW - 500, attempt=3)),
    actors={"charge": ActorWork(3, 1, 0.25, 3, 1.5)},
    failed=1,
    per_s=0.25,
    in_hand={"default": 7},
)
QUEUES = [QueueState("default", 4, 7, None, 2, 1)]
WELL = Deployment(NOW, [WORKER], QUEUES, delayed=5, schedulers=Standing([], 0, None, ""))
OUTAGE = Problem("error", "redis://redis/0", "the store does not answer", "start it", is_outage=True)


class Seen:
    """What a look-out sees."""

    def __init__(self) -> None:
        self.deployment = WELL
        self.looks = 0

    def __call__(self, *_: Any) -> Seen:
        return self

    def look(self) -> Deployment:
        self.looks += 1
        return self.deployment


@pytest.fixture
def seen(application: Application, monkeypatch: pytest.MonkeyPatch) -> Seen:
    found = Seen()
    monkeypatch.setattr("actors.cli.status.Lookout", found)
    monkeypatch.setattr("actors.cli.top.Watching", found)
    return found


def row(output: str, first: str) -> list[str]:
    """The cells of the row that begins with *first*."""
    [line] = [line for line in output.splitlines() if line.startswith(first)]
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_status_shows_what_each_worker_runs_and_for_how_long(application: Application, seen: Seen) -> None:
    result = application.actors("status")
    assert result.exit_code == ExitStatus.OK
    state = ["host-1:7", "consuming", "2s ago", "charge m1 for 4s; late m1 for 500ms, attempt 3"]
    assert row(result.stdout, "host-1:7") == [*state, "0.2", "3", "1", "7", "50", "1m", "1.2"]
    assert row(result.stdout, "default") == ["default", "4", "7", "-", "2", "1"]
    assert row(result.stdout, "charge") == ["charge", "0.2", "3", "1.5ms", "3", "1"]
    assert "0.2 attempts/s in the last 10 s" in result.stdout
    assert "delayed in RabbitMQ, of all queues: 5" in result.stdout


def test_status_as_json_has_times_that_programs_understand(application: Application, seen: Seen) -> None:
    told = application.json("status")
    [found] = told["workers"]
    assert told["ok"] is True
    assert (found["state"], found["heard_ms"], found["queues"]) == ("consuming", 2_300, ["default"])
    assert [each["since"] for each in found["running"]] == [
        "2023-11-14T22:13:13.700+00:00",
        "2023-11-14T22:13:17.200+00:00",
    ]
    assert told["now"] == "2023-11-14T22:13:20.000+00:00"
    assert told["rates"] == {"per_s": 0.25, "per_s_minute": 0.0, "outcomes": {"done": 3}}
    assert told["queues"][0]["in_hand"] == 7
    assert told["schedulers"]["leader"] is None
    assert told["actors"]["charge"]["failed"] == 1


@pytest.mark.parametrize(
    ("problems", "status"),
    [
        ([], ExitStatus.OK),
        ([Problem("warning", "host-1:7", "uses another broker")], ExitStatus.OK),
        ([Problem("error", "host-1:7", "last heard 42 s ago")], ExitStatus.FAILED),
        ([Problem("error", "host-1:7", "last heard 42 s ago"), OUTAGE], ExitStatus.UNREACHABLE),
    ],
)
def test_status_ends_as_badly_as_what_is_wrong(
    application: Application, seen: Seen, problems: Sequence[Problem], status: ExitStatus
) -> None:
    seen.deployment = Deployment(NOW, [WORKER], QUEUES, problems=problems)
    result = application.actors("status")
    assert result.exit_code == status
    for problem in problems:
        assert problem.what in result.stdout
    assert len(application.json("status", status=status)["problems"]) == len(problems)


def test_status_shows_what_there_is_without_what_could_not_be_had(application: Application, seen: Seen) -> None:
    seen.deployment = Deployment(NOW, None, QUEUES, problems=[OUTAGE])
    result = application.actors("status")
    assert row(result.stdout, "default")[1] == "4"
    assert "→ start it" in result.stdout
    assert "no worker" not in result.stdout


def test_status_of_nothing_says_how_to_begin(application: Application, seen: Seen) -> None:
    seen.deployment = Deployment(NOW, [], [])
    result = application.actors("status")
    assert result.exit_code == 0
    assert "start one: dramatiq actors shop.tasks" in result.stdout


def test_what_a_silent_worker_ran_is_said_to_be_past(application: Application, seen: Seen) -> None:
    silent = Worker(WORKER.report, 42_000)
    seen.deployment = Deployment(NOW, [silent], [])
    cells = row(application.actors("status").stdout, "host-1:7")
    assert cells[1:4] == ["silent", "42s ago", "was: charge m1 for 4s; late m1 for 500ms, attempt 3"]


def test_names_of_anybodys_can_not_command_a_terminal(application: Application, seen: Seen) -> None:
    evil = worker(
        running=[running("\x1b[2Jcharge", message_id="\x1b[2J")], actors={"\x1b[2J": ActorWork(1, 0, 0, 0, 0)}
    )
    seen.deployment = Deployment(NOW, [evil], [QueueState("\x1b[2J", 0, 0, None, 0, 0)])
    for arguments in (["status"], ["top", "--once"]):
        assert "\x1b[2J" not in application.actors(*arguments).stdout


def test_top_once_shows_rates_and_what_runs_longest(application: Application, seen: Seen) -> None:
    seen.deployment = Deployment(NOW, [WORKER, worker(60_000, member="other")], QUEUES, problems=[OUTAGE])
    result = application.actors("top", "--once")
    assert result.exit_code == 0
    assert "1 worker, 1 silent; 0.2 attempts/s" in result.stdout
    assert "error: redis://redis/0: the store does not answer" in result.stdout
    assert row(result.stdout, "late") == ["late", "m1", "3", "500ms", "host-1:7"]
    lines = result.stdout.splitlines()
    assert lines.index(next(line for line in lines if line.startswith("charge  "))) < len(lines)
    assert seen.looks == 1


def test_top_as_json_is_an_object_a_line(application: Application, seen: Seen) -> None:
    result = application.actors("top", "--once", "--json")
    assert json.loads(result.stdout)["rates"]["per_s"] == 0.25


def test_top_shows_no_more_than_fits(application: Application, seen: Seen) -> None:
    seen.deployment = Deployment(NOW, [], [QueueState(f"q{number}", 0, 0, None, 0, 1) for number in range(25)])
    assert "and 15 more" in application.actors("top", "--once").stdout


def test_top_goes_on_until_it_is_told(application: Application, seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.cli.lasting._wait", lambda *_: seen.looks >= 3)
    result = application.actors("top")
    assert (result.exit_code, seen.looks) == (0, 3)


def test_top_ends_well_on_ctrl_c(application: Application, seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr("actors.cli.lasting._wait", interrupted)
    assert application.actors("top").exit_code == 0


@pytest.fixture
def fleet(application: Application, monkeypatch: pytest.MonkeyPatch) -> MemoryFleet:
    found = MemoryFleet()
    monkeypatch.setattr("actors.cli.events.fleet", lambda: found)
    return found


def event(number: int, **fields: Any) -> str:
    told = {
        "event": "attempt",
        "at": NOW,
        "member": "host-1:7:ab",
        "number": number,
        "message_id": f"m{number}",
        "actor": "charge",
        "queue": "default",
        "attempt": 1,
        "outcome": "done",
        "wait_ms": 4,
        "duration_ms": 3.1,
        "worker": "host-1:7",
    }
    return json.dumps(told | fields)


def test_events_are_shown_as_far_as_some_are_kept(application: Application, fleet: MemoryFleet) -> None:
    fleet.publish([event(1), event(2, outcome="dead", error_type="ValueError", error="no\ndata"), event(3)])
    lines = application.actors("events", "--limit", "2").stdout.splitlines()
    assert len(lines) == 2
    told = 'dead       charge  m2  attempt 1  took 3.1ms  waited 4.0ms  host-1:7, ValueError: "no\\ndata"'
    assert lines[0].endswith(told)


def test_where_none_are_kept_it_is_said_why(application: Application, fleet: MemoryFleet) -> None:
    result = application.actors("events")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "add --follow" in result.stderr


def test_events_are_chosen_by_actor_queue_and_outcome(application: Application, fleet: MemoryFleet) -> None:
    fleet.publish([event(1), event(2, actor="refund"), event(3, queue="slow"), event(4, outcome="dead")])
    fleet.publish([json.dumps({"event": "left_out", "at": NOW, "member": "m", "number": 1, "count": 1_234})])

    def chosen(*options: str) -> list[Any]:
        lines = application.actors("events", "--json", *options).stdout.splitlines()
        return [found.get("message_id", found["event"]) for found in map(json.loads, lines)]

    assert chosen() == ["m1", "m2", "m3", "m4", "left_out"]
    assert chosen("--actor", "refund") == ["m2", "left_out"]
    assert chosen("--queue", "slow", "--queue", "other") == ["m3", "left_out"]
    assert chosen("--outcome", "dead", "--actor", "charge") == ["m4", "left_out"]
    assert "… 1,234 events left out" in application.actors("events").stdout


def test_an_event_as_json_is_as_the_log_line_of_the_attempt(application: Application, fleet: MemoryFleet) -> None:
    fleet.publish([event(1)])
    [told] = map(json.loads, application.actors("events", "--json").stdout.splitlines())
    assert list(told)[:2] == ["event", "timestamp"]
    assert told.items() >= {"event": "attempt", "timestamp": "2023-11-14T22:13:20.000+00:00", "attempt": 1}.items()
    assert not {"at", "number", "member"} & set(told)


def test_an_outcome_that_there_is_not_is_refused(application: Application, fleet: MemoryFleet) -> None:
    result = application.actors("events", "--outcome", "well")
    assert result.exit_code == ExitStatus.USAGE
    assert "'duplicate'" in result.stderr


def test_who_follows_is_shown_what_comes_and_outlives_an_outage(
    application: Application, fleet: MemoryFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = iter(range(6))
    real = fleet.after

    def after(cursor: str, *, limit: int) -> Any:
        if turn in (2, 3):
            raise StoreUnavailable("the store does not answer")
        return real(cursor, limit=limit)

    turn = 0

    def wait(*_: object) -> bool:
        nonlocal turn
        turn = next(turns)
        fleet.publish([event(turn + 1)])
        return turn == 5

    monkeypatch.setattr(fleet, "after", after)
    monkeypatch.setattr("actors.cli.lasting._wait", wait)
    fleet.publish([event(99)])
    result = application.actors("events", "--follow", "--json")
    assert result.exit_code == 0
    assert [json.loads(line)["message_id"] for line in result.stdout.splitlines()] == ["m1", "m2", "m3", "m4", "m5"]
    assert "following 0 workers" in result.stderr
    assert result.stderr.count("trying again") == 1


@pytest.mark.parametrize("arguments", [["events"], ["events", "--follow"]])
def test_events_without_a_store_end_with_one_line(
    application: Application, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setenv("ACTORS_STORE_URL", "redis://:secret@127.0.0.1:1/0")
    monkeypatch.setattr(assembly, "_store", None)
    result = application.actors(*arguments)
    assert (result.exit_code, result.stdout) == (ExitStatus.UNREACHABLE, "")
    [line] = result.stderr.splitlines()
    assert line.startswith("Error: redis://:***@127.0.0.1:1/0: the store does not answer")
