"""`periodic`: what its commands print, what they send to the schedulers, and what they refuse."""

import json
import shlex
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import dramatiq
import pytest
from typer.testing import CliRunner, Result

from actors.brokers.broker import Broker
from actors.cli.exits import ExitStatus
from actors.cli.periodic import app
from actors.operating import ChangeRefused, Event, History, NoLeader, Page, Standing
from periodic.tick import Tick
from tests.unit.actors.conftest import Application

TASKS = """
    from actors import actor
    from periodic import cron, every

    @actor(periodic=cron("30 2 * * *", timezone="Europe/Berlin"))
    def nightly(day: str = "today") -> None: ...

    @actor(periodic=every(hours=1), idempotency_key="hour", idempotency_ttl=7_200_000)
    def hourly() -> None: ...

    @actor(periodic=every(hours=1, overlap="skip"), idempotent=False)
    def careless() -> None: ...

    @actor
    def charge(order_id: int) -> None: ...
"""

ROW: dict[str, Any] = {
    "schedule": "nightly",
    "actor": "nightly",
    "when": "cron('30 2 * * *', Europe/Berlin)",
    "next": None,
    "paused": False,
    "failing": "",
    "added": False,
    "in_code": True,
    "last": None,
    "last_missed": None,
}
REPLICA = {
    "replica": "one:1",
    "role": "leading",
    "since": "2030-01-01T00:00:00+00:00",
    "lateness_ms": 4.25,
    "enqueued": 7,
}


T = TypeVar("T")


class Schedulers:
    """What there is to find out, and what was asked and told."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.shown = Page([], "", "one:1", 0)
        self.stands = Standing([REPLICA], 0, None, "")
        self.events = History([], "")
        self.definition: dict[str, Any] | None = None
        self.error: Exception | None = None

    def __call__(self, *, timeout_s: float) -> "Schedulers":
        return self

    def page(self, **options: Any) -> Page:
        return self._asked("page", options, self.shown)

    def standing(self) -> Standing:
        return self._asked("standing", {}, self.stands)

    def history(self, name: str, **options: Any) -> History:
        if options["after"] == "nowhere":
            raise ValueError
        return self._asked("history", {"name": name, **options}, self.events)

    def show(self, name: str) -> dict[str, Any]:
        return self._asked("show", {"name": name}, {"actor": "charge", "definition": self.definition})

    def change(self, action: str, **fields: Any) -> str:
        return self._asked(action, fields, f"{action} is done")

    def reset_watermark(self, to: datetime | None, *, force: bool) -> str:
        return self._asked("reset", {"to": to, "force": force}, "moved")

    def _asked(self, what: str, options: dict[str, Any], answer: T) -> T:
        self.asked.append((what, options))
        if self.error is not None:
            raise self.error
        return answer


class Shop(Application):
    """An application with schedules, whose messages go nowhere but into ``sent``."""

    def __init__(self, application: Application) -> None:
        vars(self).update(vars(application))
        self.sent: list[dramatiq.Message[Any]] = []
        self.schedulers = Schedulers()

    def periodic(self, *arguments: str, given: str | None = None) -> Result:
        return CliRunner().invoke(app, arguments, prog_name="periodic", catch_exceptions=False, input=given)

    def told(self, *arguments: str, status: int = 0) -> Any:
        """What the command prints with --json; it must end with *status*."""
        result = self.periodic(*arguments, "--json")
        assert result.exit_code == status, result.output
        return json.loads(result.stdout)


@pytest.fixture
def shop(application: Application, monkeypatch: pytest.MonkeyPatch) -> Shop:
    shop = Shop(application)
    shop.write("shop_tasks", TASKS)
    monkeypatch.setenv("ACTORS_MODULES", "shop_tasks")
    monkeypatch.setattr("actors.cli.periodic_options.operator_here", shop.schedulers)

    monkeypatch.setattr(Broker, "enqueue", lambda _, message: shop.sent.append(message))
    monkeypatch.setattr(Broker, "enqueue_many", lambda _, messages: shop.sent.extend(messages))
    return shop


def rows(result: Result) -> list[list[str]]:
    """The columns of each line; they are two spaces apart at least."""
    lines = [line.strip() for line in result.stdout.splitlines() if line.strip()]
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines]


def audited(result: Result) -> Any:
    [line] = [line for line in result.stderr.splitlines() if line.startswith("audit: ")]
    return json.loads(line.removeprefix("audit: "))


def ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


# list


def test_a_row_has_the_next_run_and_the_last_with_its_outcome_and_duration(shop: Shop) -> None:
    last = {"ended": ago(65), "outcome": "failed", "duration_ms": 1_500}
    shop.schedulers.shown = Page([{**ROW, "next": ago(-3_600.5), "last": last}], "", "one:1", 0)
    heading, row = rows(shop.periodic("list"))

    assert heading == ["SCHEDULE", "ACTOR", "WHEN", "NEXT", "LAST RUN", "OUTCOME", "TOOK", "STATE"]
    assert row[:3] == ["nightly", "nightly", "cron('30 2 * * *', Europe/Berlin)"]
    assert row[3].endswith("(in 1h)")
    assert row[4].endswith("(1m5s ago)")
    assert row[5:] == ["failed", "1s"]


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        (
            {"paused": True, "paused_at": "2020-01-01T00:00:00+00:00", "paused_by": "ann"},
            "paused by ann at 2020-01-01T",
        ),
        ({"failing": "ValueError: no"}, "failing: ValueError: no"),
        ({"in_code": False}, "not in the code of the schedulers"),
        ({"added": True}, "added"),
        ({"last_missed": {"time": "T1", "until": None, "reason": "it was late"}}, "missed T1: it was late"),
        ({"last_missed": {"time": "T1", "until": "T2", "reason": "it was late"}}, "missed T2: it was late"),
        ({"failing": "\x1b[31m\nred"}, '"failing: \\u001b[31m\\nred"'),
    ],
)
def test_the_state_says_why_a_schedule_does_not_do_as_it_should(shop: Shop, fields: dict[str, Any], state: str) -> None:
    shop.schedulers.shown = Page([{**ROW, **fields}], "", "one:1", 0)
    assert rows(shop.periodic("list"))[1][-1].startswith(state)


def test_the_last_line_of_a_page_is_the_command_for_the_next(shop: Shop) -> None:
    shop.schedulers.shown = Page([ROW], "it's", "one:1", 0)
    line = shop.periodic("list", "--limit", "1", "-m", "shop_tasks").stdout.splitlines()[-1]
    words = shlex.split(line.removeprefix("next page: "))
    assert words == ["periodic", "list", "--limit", "1", "--after", "it's", "-m", "shop_tasks"]

    shop.periodic(*words[1:])
    assert shop.schedulers.asked[-1] == ("page", {"after": "it's", "limit": 1})


def test_the_json_of_a_page_has_all_that_is_told(shop: Shop) -> None:
    shop.schedulers.shown = Page([ROW], "nightly", "one:1", 0)
    told = shop.told("list")
    assert told.pop("now")
    assert told == {"leader": "one:1", "schedules": [ROW], "next": "nightly"}


def test_it_is_said_when_nobody_leads(shop: Shop) -> None:
    shop.schedulers.shown = Page([ROW], "", "", 0)
    assert "no scheduler has answered as the leader" in shop.periodic("list").stderr
    shop.schedulers.shown = Page([{**ROW, "in_code": False}], "", "", 0)
    assert rows(shop.periodic("list"))[1][-1] == "not in the modules that are loaded here"
    assert shop.told("list")["leader"] is None


# status


def test_the_status_names_the_leader_first_and_how_late_it_is(shop: Shop) -> None:
    other = {"replica": "two:2", "role": "standing by", "enqueued": 0}
    shop.schedulers.stands = Standing([REPLICA, other], 1, datetime.now(UTC) - timedelta(seconds=5), "")
    result = shop.periodic("status")
    _, first, second, mark = rows(result)

    assert result.exit_code == ExitStatus.OK
    assert (first[0], first[1], first[3], first[4]) == ("one:1", "leading", "4.2 ms", "7")
    assert second[:2] == ["two:2", "standing by"]
    assert "4.2" not in str(second)
    assert mark[0].endswith("(5s ago)")
    assert "1 more are connected, and did not answer" in result.stderr


def test_what_keeps_a_scheduler_from_being_ready_is_said_with_what_to_do(shop: Shop) -> None:
    checks = [
        {"name": "loop", "ok": True, "reason": "the loop comes round", "advice": ""},
        {"name": "clock", "ok": False, "reason": "the clock is 90.0 s ahead", "advice": "synchronise it"},
    ]
    ready = {**REPLICA, "ready": True, "skew_ms": -250, "checks": checks[:1]}
    other = {**REPLICA, "replica": "two:2", "ready": False, "skew_ms": 90_000, "checks": checks}
    shop.schedulers.stands = Standing([ready, other], 0, None, "")
    result = shop.periodic("status")
    _, first, second, *_ = rows(result)

    assert result.exit_code == ExitStatus.OK
    assert first[-2:] == ["-0.2 s", "yes"]
    assert second[-2:] == ["+90.0 s", "no"]
    said = [line for line in result.stdout.splitlines() if line.startswith("not ready: ")]
    assert said == ["not ready: two:2: the clock is 90.0 s ahead; synchronise it"]


def test_a_schedule_that_fails_is_named_with_the_reason(shop: Shop) -> None:
    shop.schedulers.stands = Standing([{**REPLICA, "failing": {"nightly": "NotTaken: full"}}], 0, None, "")
    assert "failing: nightly: NotTaken: full" in shop.periodic("status").stdout


def test_without_a_leader_the_status_fails_and_says_why(shop: Shop) -> None:
    shop.schedulers.stands = Standing([], 0, None, "no scheduler leads; start one")
    result = shop.periodic("status")
    assert result.exit_code == ExitStatus.FAILED
    assert result.stderr == "Error: no scheduler leads; start one\n"
    assert shop.told("status", status=ExitStatus.FAILED) == {
        "leader": None,
        "standbys": [],
        "silent": 0,
        "watermark": None,
        "problem": "no scheduler leads; start one",
    }


# preview


def test_a_preview_shows_what_a_change_of_clocks_does(shop: Shop) -> None:
    told = shop.told("preview", "nightly", "--from", "2030-03-30T00:00:00Z", "--to", "2030-04-02T00:00:00Z")
    assert [line["time"] for line in told["lines"]] == [
        "2030-03-30T01:30:00+00:00",
        "2030-03-31T01:00:00+00:00",
        "2030-04-01T00:30:00+00:00",
    ]
    assert [bool(line["note"]) for line in told["lines"]] == [False, True, False]
    assert told["lines"][0]["tick_id"] == tick_id("nightly", "2030-03-30T01:30:00+00:00")
    table = shop.periodic("preview", "nightly", "--from", "2030-03-30T00:00:00Z", "--to", "2030-04-02T00:00:00Z")
    assert "Sat 2030-03-30 02:30:00+0100" in table.stdout


def test_a_preview_begins_now_and_ends_after_twenty_lines_unless_told_otherwise(shop: Shop) -> None:
    before = datetime.now(UTC)
    told = shop.told("preview", "hourly")
    assert len(told["lines"]) == 20
    assert told["more"]
    assert timedelta() < datetime.fromisoformat(told["lines"][0]["time"]) - before <= timedelta(hours=1, minutes=1)
    assert len(shop.told("preview", "hourly", "--limit", "3")["lines"]) == 3


def test_a_schedule_that_was_added_at_run_time_is_previewed_too(shop: Shop) -> None:
    shop.schedulers.definition = {"actor": "charge", "every": 86_400_000, "args": [1]}
    told = shop.told("preview", "extra", "--from", "2030-01-01T00:00:00Z", "--limit", "1")
    assert told["when"] == "every(1 day, 0:00:00)"
    assert shop.schedulers.asked == [("show", {"name": "extra"})]


@pytest.mark.parametrize(
    ("error", "definition", "problem"),
    [
        (ChangeRefused("no schedule is called 'nightyl'"), None, "did you mean 'nightly'?.*no schedule is called"),
        (NoLeader("no scheduler leads"), None, "did you mean 'nightly'?.*no scheduler leads"),
        (None, None, "is of actor 'charge', which the modules here do not declare; name its module with -m"),
        (None, {"actor": "gone", "every": 1_000}, "has no actor 'gone'.*name the module of its actor with -m"),
    ],
)
def test_a_schedule_that_is_not_known_is_refused_with_what_to_do(
    shop: Shop, error: Exception | None, definition: dict[str, Any] | None, problem: str
) -> None:
    shop.schedulers.error, shop.schedulers.definition = error, definition
    result = shop.periodic("preview", "nightyl")
    assert result.exit_code == ExitStatus.USAGE
    first, _, second = problem.partition(".*")
    assert first in result.stderr
    assert second in result.stderr


# history


def test_the_history_has_runs_and_missed_ticks_in_one_row_each(shop: Shop) -> None:
    run = {"duration_ms": 20, "attempt": 2, "by": "backfill", "worker": "w:1", "result": "7", "error": ""}
    missed = {"time": "T1", "until": "T2", "reason": "it was paused"}
    failed = {**run, "error": "ValueError: no", "duration_ms": None}
    shop.schedulers.events = History(
        [
            Event(ago(60.5), "T3", "done", run),
            Event(ago(61), "T2", "failed", failed),
            Event(ago(90), "T1", "missed", missed),
        ],
        "there",
    )
    _, done, lost, gone, more = rows(shop.periodic("history", "nightly"))
    assert (done[:2], done[2][-8:], done[3:]) == (["T3", "done"], "(1m ago)", ["20ms", "2", "backfill", "w:1", "7"])
    assert (lost[1], lost[3], lost[-1]) == ("failed", "-", "ValueError: no")
    assert (gone[0], gone[1], gone[-1]) == ("T1 to T2", "missed", "it was paused")
    assert more == ["next page: periodic history nightly --limit 50 --after there"]

    events = shop.told("history", "nightly")["events"]
    assert [event["outcome"] for event in events] == ["done", "failed", "missed"]
    assert events[2]["reason"] == "it was paused"


def test_a_cursor_that_no_page_has_printed_is_refused(shop: Shop) -> None:
    result = shop.periodic("history", "nightly", "--after", "nowhere")
    assert result.exit_code == ExitStatus.USAGE
    assert "'nowhere' is no place to go on from; take it from the last line of a page" in result.stderr


# pause, resume, add, change, remove, reset-watermark


@pytest.mark.parametrize("command", ["pause", "resume", "remove"])
def test_an_order_is_told_to_the_leader_and_leaves_a_line_for_an_audit(shop: Shop, command: str) -> None:
    result = shop.periodic(command, "nightly")
    assert (result.exit_code, result.stdout) == (ExitStatus.OK, f"{command} is done\n")
    assert shop.schedulers.asked == [(command, {"schedule": "nightly"})]
    note = audited(result)
    assert (note["operation"], note["schedule"], note["outcome"]) == (command, "nightly", "done")
    assert shop.told(command, "nightly") == {"schedule": "nightly", "text": f"{command} is done"}


@pytest.mark.parametrize("error", [ChangeRefused("no schedule is called so"), NoLeader("no scheduler leads")])
def test_an_order_that_is_not_carried_out_fails_and_is_audited_as_refused(shop: Shop, error: Exception) -> None:
    shop.schedulers.error = error
    result = shop.periodic("pause", "nightly")
    assert result.exit_code == ExitStatus.FAILED
    assert f"Error: {error}" in result.stderr
    assert audited(result)["outcome"] == "refused"


def test_an_order_of_which_nobody_knows_whether_it_was_carried_out_is_audited_as_unsure(shop: Shop) -> None:
    shop.schedulers.error = dramatiq.errors.ConnectionFailed("no answer in time")
    result = shop.periodic("pause", "nightly")
    assert result.exit_code == ExitStatus.UNREACHABLE
    assert audited(result)["outcome"] == "unsure"


ALL_OPTIONS = (
    "--actor charge --cron '0 9 * * *' --timezone Asia/Tokyo --gap skip --repeat last --args '[1]' "
    "--kwargs '{\"a\": 2}' --queue reports --priority 3 --jitter 5s --catch-up 1h --no-coalesce --cap 7 "
    "--overlap queue_one --start 2030-01-01T09:00:00+09:00 --end 2031-01-01T00:00:00Z"
)


def test_add_says_all_that_a_declaration_can(shop: Shop) -> None:
    result = shop.periodic("add", "extra", *shlex.split(ALL_OPTIONS))
    assert result.exit_code == ExitStatus.OK, result.output
    [(action, fields)] = shop.schedulers.asked
    assert (action, fields["schedule"]) == ("add", "extra")
    assert fields["definition"] == {
        "actor": "charge",
        "cron": "0 9 * * *",
        "timezone": "Asia/Tokyo",
        "gap": "skip",
        "repeat": "last",
        "args": [1],
        "kwargs": {"a": 2},
        "queue": "reports",
        "priority": 3,
        "jitter": 5_000,
        "catch_up": 3_600_000,
        "coalesce": False,
        "cap": 7,
        "overlap": "queue_one",
        "start": "2030-01-01T00:00:00+00:00",
        "end": "2031-01-01T00:00:00+00:00",
    }
    assert audited(result)["definition"] == fields["definition"]


@pytest.mark.parametrize(
    ("options", "definition"),
    [
        ("--actor charge --every 1h30m", {"actor": "charge", "every": 5_400_000}),
        (
            "--actor charge --at 2030-01-01T09:00:00Z --at 2030-01-02T09:00:00+08:00",
            {"actor": "charge", "at": ["2030-01-01T09:00:00+00:00", "2030-01-02T01:00:00+00:00"]},
        ),
    ],
)
def test_add_takes_an_interval_or_moments(shop: Shop, options: str, definition: dict[str, Any]) -> None:
    shop.periodic("add", "extra", *options.split())
    assert shop.schedulers.asked[0][1]["definition"] == definition


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("--every 5m", "it must name an actor"),
        ("--actor charge", "it must have one of cron, every and at"),
        ("--actor charge --cron '0 25 * * *'", "hour 25 is out of range 0-23"),
        ("--actor charge --every 5m --timezone UTC", "timezone belongs to cron"),
        ("--actor charge --every soon", "'soon' is no duration"),
        ("--actor charge --at 2030-01-01T09:00:00", "has no time zone"),
        ("--actor charge --every 5m --args 7", "7 is not a list"),
        ("--actor charge --every 5m --overlap maybe", "maybe"),
    ],
)
def test_what_could_not_work_is_refused_before_it_is_told(shop: Shop, options: str, problem: str) -> None:
    result = shop.periodic("add", "extra", *shlex.split(options))
    assert result.exit_code == ExitStatus.USAGE
    assert problem in result.stderr
    assert shop.schedulers.asked == []


def test_change_tells_what_is_given_alone(shop: Shop) -> None:
    shop.periodic("change", "extra", "--coalesce", "--args", "[2]")
    assert shop.schedulers.asked == [
        ("change", {"schedule": "extra", "definition": {"coalesce": True, "args": [2]}}),
    ]


def test_a_change_of_nothing_is_refused(shop: Shop) -> None:
    result = shop.periodic("change", "extra")
    assert result.exit_code == ExitStatus.USAGE
    assert "give what is to change" in result.stderr


def test_the_watermark_is_reset_to_a_time_or_to_now(shop: Shop) -> None:
    result = shop.periodic("reset-watermark", "--to", "2030-01-01T09:00:00+08:00", "--force")
    assert (result.exit_code, result.stdout) == (ExitStatus.OK, "moved\n")
    assert shop.schedulers.asked == [("reset", {"to": datetime(2030, 1, 1, 1, tzinfo=UTC), "force": True})]
    note = audited(result)
    assert (note["operation"], note["outcome"], note["forced"]) == ("reset-watermark", "done", True)

    shop.periodic("reset-watermark")
    assert shop.schedulers.asked[-1] == ("reset", {"to": None, "force": False})


def test_a_reset_that_is_refused_is_audited(shop: Shop) -> None:
    shop.schedulers.error = ChangeRefused("the watermark is sane")
    result = shop.periodic("reset-watermark")
    assert result.exit_code == ExitStatus.FAILED
    assert "Error: the watermark is sane" in result.stderr
    assert audited(result)["outcome"] == "refused"


# trigger


def test_a_triggered_run_is_enqueued_now_with_an_id_of_its_own(shop: Shop) -> None:
    first = shop.told("trigger", "nightly")
    second = shop.told("trigger", "nightly")
    assert [message.message_id for message in shop.sent] == [first["message_id"], second["message_id"]]
    assert first["message_id"] != second["message_id"]
    message = shop.sent[0]
    assert (message.actor_name, message.queue_name) == ("nightly", "default")
    assert message.options["tick"]["schedule"] == "nightly"
    assert message.options["tick"]["by"] == "trigger"
    assert message.message_id != tick_id("nightly", message.options["tick"]["time"])


def test_a_triggered_run_has_a_key_of_its_own_though_its_actor_makes_one(shop: Shop) -> None:
    shop.periodic("trigger", "hourly")
    [message] = shop.sent
    assert message.options["idempotency_key"] == message.message_id


def test_a_triggered_run_can_have_other_arguments(shop: Shop) -> None:
    result = shop.periodic("trigger", "nightly", "--args", '["monday"]')
    assert shop.sent[0].args == ("monday",)
    note = audited(result)
    assert (note["operation"], note["message_id"]) == ("trigger", shop.sent[0].message_id)

    shop.periodic("trigger", "nightly", "--kwargs", '{"day": "monday"}')
    assert shop.sent[1].kwargs == {"day": "monday"}


def test_arguments_that_do_not_fit_are_refused(shop: Shop) -> None:
    result = shop.periodic("trigger", "nightly", "--kwargs", '{"dya": 1}')
    assert result.exit_code == ExitStatus.USAGE
    assert "dya" in result.stderr
    assert shop.sent == []


def test_one_that_was_added_at_run_time_is_triggered_with_its_arguments(shop: Shop) -> None:
    shop.schedulers.definition = {"actor": "charge", "every": 1_000, "args": [42]}
    shop.periodic("trigger", "extra")
    assert [(message.actor_name, message.args) for message in shop.sent] == [("charge", (42,))]


# backfill

DAY = ("--from", "2020-01-01T00:00:00Z", "--to", "2020-01-02T00:00:00Z")


def tick_id(name: str, time: str) -> str:
    return Tick(name, moment := datetime.fromisoformat(time), moment).id


def test_a_backfill_enqueues_the_ticks_of_a_range_under_their_own_ids(shop: Shop) -> None:
    result = shop.periodic("backfill", "hourly", *DAY, "--yes")
    assert result.exit_code == ExitStatus.OK, result.output
    times = [f"2020-01-01T{hour:02}:00:00+00:00" for hour in range(24)]
    assert [message.message_id for message in shop.sent] == [tick_id("hourly", time) for time in times]
    assert [message.options["idempotency_key"] for message in shop.sent] == [each.message_id for each in shop.sent]
    assert [message.options["tick"]["time"] for message in shop.sent] == times
    assert {message.options["tick"]["by"] for message in shop.sent} == {"backfill"}
    note = audited(result)
    assert (note["operation"], note["outcome"], note["ticks"], note["enqueued"]) == ("backfill", "done", 24, 24)
    assert "24 ticks of hourly between 2020-01-01T00:00:00Z and 2020-01-02T00:00:00Z" in result.stdout


def test_a_dry_run_says_what_would_be_enqueued_and_enqueues_nothing(shop: Shop) -> None:
    told = shop.told("backfill", "hourly", *DAY, "--dry-run")
    assert (len(told["ticks"]), told["enqueued"]) == (24, 0)
    assert told["ticks"][0] == {
        "time": "2020-01-01T00:00:00+00:00",
        "message_id": tick_id("hourly", "2020-01-01T00:00:00+00:00"),
    }
    assert shop.sent == []


def test_a_backfill_without_anybody_to_ask_enqueues_nothing(shop: Shop) -> None:
    result = shop.periodic("backfill", "hourly", *DAY)
    assert result.exit_code == ExitStatus.USAGE
    assert "give --yes, or --dry-run" in result.stderr
    assert shop.sent == []


@pytest.mark.parametrize(("answer", "sent"), [("y\n", 24), ("n\n", 0)])
def test_who_is_asked_decides(shop: Shop, monkeypatch: pytest.MonkeyPatch, answer: str, sent: int) -> None:
    monkeypatch.setattr("actors.cli.periodic_enqueue._is_asked", lambda: True)
    result = shop.periodic("backfill", "hourly", *DAY, given=answer)
    assert "enqueue 24 ticks?" in result.stderr
    assert len(shop.sent) == sent


def test_it_warns_where_keys_are_forgotten_by_then(shop: Shop) -> None:
    """Keys of ``hourly`` are remembered for two hours."""
    told = shop.told("backfill", "hourly", "--from", ago(3 * 3600), "--dry-run")
    assert len(told["warnings"]) == 1
    assert "keys of hourly are remembered for 2h: ticks that ran before" in told["warnings"][0]
    assert shop.told("backfill", "hourly", "--from", ago(3600), "--dry-run")["warnings"] == []


def test_it_warns_where_there_are_no_keys_and_where_ticks_are_skipped(shop: Shop) -> None:
    told = shop.told("backfill", "careless", "--from", ago(3600), "--dry-run")
    assert told["warnings"] == [
        "careless has idempotent=False: every tick runs, also those that have run",
        "overlap=skip: ticks that find a run of careless going on are skipped",
    ]


@pytest.mark.parametrize(
    ("options", "status", "problem"),
    [
        (("--from", "2020-01-01T00:00:00"), ExitStatus.USAGE, "has no time zone"),
        (("--from", "2020-01-01T00:00:00Z", "--to", "2999-01-01T00:00:00Z"), ExitStatus.USAGE, "is in the future"),
        (("--from", "2020-01-02T00:00:00Z", "--to", "2020-01-01T00:00:00Z"), ExitStatus.USAGE, "is not before"),
        ((*DAY, "--limit", "23"), ExitStatus.FAILED, "there are more than 23 ticks"),
    ],
)
def test_a_range_that_could_not_be_meant_is_refused(
    shop: Shop, options: tuple[str, ...], status: ExitStatus, problem: str
) -> None:
    result = shop.periodic("backfill", "hourly", *options, "--yes")
    assert result.exit_code == status
    assert problem in result.stderr
    assert shop.sent == []


def test_a_backfill_that_breaks_off_says_how_far_it_came(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def enqueue_many(_: Broker[Any], messages: list[dramatiq.Message[Any]]) -> None:
        calls.append(len(messages))
        if len(calls) == 2:
            raise dramatiq.errors.ConnectionFailed("gone")

    monkeypatch.setattr(Broker, "enqueue_many", enqueue_many)
    begin, end = "2020-01-01T00:00:00Z", "2020-01-31T00:00:00Z"
    result = shop.periodic("backfill", "hourly", "--from", begin, "--to", end, "--yes")
    assert result.exit_code == ExitStatus.UNREACHABLE
    note = audited(result)
    assert (note["outcome"], note["ticks"], note["enqueued"]) == ("failed", 720, 200)


@pytest.mark.parametrize(
    "command",
    ["list", "status", "preview", "history", "pause", "resume", "trigger", "backfill", "add", "change", "remove"],
)
def test_each_command_has_help_that_begins_with_a_sentence_and_takes_json(shop: Shop, command: str) -> None:
    result = shop.periodic(command, "--help")
    assert result.exit_code == ExitStatus.OK
    assert "--json" in result.stdout
