"""`actors idempotency` on a store in memory."""

import json
import logging
import shlex
from typing import Any

import pytest

from actors.cli.audit import log
from actors.cli.records import duration
from middleware.keys import digest
from middleware.stores import Claim, Ending, MemoryStore, Outcome, Record, Request, State, StoreUnavailable, Verdict
from tests.unit.actors.conftest import Application

NOW = 1_767_225_600_000
TASKS = """
    from actors import actor

    @actor
    def charge(order_id: int) -> None: ...
"""


class Keys:
    """A store, and a clock that stands still between two steps."""

    def __init__(self) -> None:
        self.time = NOW
        self.store = MemoryStore(lambda: self.time)

    def claim(self, key: str, *, scope: str = "charge", owner: str | None = None, ttl_ms: int = 86_400_000) -> Claim:
        request = Request(
            digest(scope, key), scope, key, owner or key, token=f"of {owner or key}", lease_ms=30_000, ttl_ms=ttl_ms
        )
        _, [answer] = self.store.exchange([], [request])
        assert answer.verdict is Verdict.RUN
        return Claim(request, answer.fence)

    def end(self, key: str, ending: Ending, scope: str = "charge", owner: str | None = None, **outcome: Any) -> str:
        """The digest of a key whose only claim has ended."""
        claim = self.claim(key, scope=scope, owner=owner)
        assert self.store.exchange([Outcome(claim, ending, **outcome)], []) == ([True], [])
        return claim.request.digest

    def state(self, name: str) -> State:
        record = self.store.inspect(name)
        assert record is not None
        return record.state


@pytest.fixture
def keys(application: Application, monkeypatch: pytest.MonkeyPatch) -> Keys:
    keys = Keys()
    monkeypatch.setattr("actors.cli.idempotency.store", lambda: keys.store)
    return keys


def listed(application: Application, *arguments: str) -> list[str]:
    return [record["key"] for record in application.json("idempotency", "list", *arguments)["keys"]]


def audited(stderr: str) -> Any:
    [line] = stderr.splitlines()
    return json.loads(line.removeprefix("audit: "))


# list


def test_the_list_has_what_is_not_done(application: Application, keys: Keys) -> None:
    keys.claim("running")
    keys.end("waiting", Ending.WAITING, due_ms=5_000, retries=1)
    keys.end("failed", Ending.FAILED)
    keys.end("done", Ending.DONE)
    assert set(listed(application)) == {"running", "waiting", "failed"}
    assert listed(application, "--state", "waiting") == ["waiting"]


def test_the_table_says_how_long_each_lease_lasts_and_when_each_is_due(application: Application, keys: Keys) -> None:
    keys.claim("a", owner="message-a")
    keys.end("b", Ending.WAITING, due_ms=90_000)
    keys.end("c", Ending.FAILED)
    keys.time += 12_000
    lines = application.actors("idempotency", "list").stdout.splitlines()
    assert lines[0].split("  ")[0] == "STATE"
    rows = {line.split()[2]: line for line in lines[1:]}
    assert rows["a"].split() == f"running charge a message-a 12s ago 18s left 0 {digest('charge', 'a')}".split()
    assert "due in 1m18s" in rows["b"]
    assert " -  " in rows["c"]
    keys.time += 20_000
    assert "over for 2s" in application.actors("idempotency", "list", "--state", "running").stdout


def test_pages_hold_each_key_once(application: Application, keys: Keys) -> None:
    for number in range(250):
        keys.claim(f"key-{number:03}")
    sizes: list[int] = []
    seen, after = [], ""
    while not sizes or after:
        page = application.json("idempotency", "list", "--limit", "100", "--after", after)
        sizes.append(len(page["keys"]))
        seen += [record["key"] for record in page["keys"]]
        after = page["next"] or ""
    assert sizes == [100, 100, 50]
    assert sorted(seen) == [f"key-{number:03}" for number in range(250)]


def test_a_page_is_full_of_what_the_filter_lets_through(application: Application, keys: Keys) -> None:
    for number in range(250):
        keys.claim(f"key-{number:03}", scope="refund" if number % 25 == 7 else "charge", ttl_ms=86_400_000 + number)
    wanted = [f"key-{number:03}" for number in range(7, 250, 25)]
    pages, after = [], ""
    for _ in range(4):
        page = application.json("idempotency", "list", "--actor", "refund", "--limit", "3", "--after", after)
        pages.append([record["key"] for record in page["keys"]])
        after = page["next"] or ""
    assert pages == [wanted[:3], wanted[3:6], wanted[6:9], wanted[9:]]
    assert after == ""


def test_the_last_line_of_a_page_is_the_command_for_the_next(application: Application, keys: Keys) -> None:
    for number in range(5):
        keys.claim(f"key-{number}", ttl_ms=86_400_000 + number)
    application.write("shop_tasks", TASKS)
    arguments = ["idempotency", "list", "--state", "running", "--actor", "charge", "--limit", "3", "-m", "shop_tasks"]
    last = application.actors(*arguments).stdout.splitlines()[-1]
    program, *following = shlex.split(last.removeprefix("next page: "))
    assert program == "actors"
    assert listed(application, *following[2:]) == ["key-3", "key-4"]
    assert "next page" not in application.actors(*following).stdout


def test_a_key_can_not_write_on_the_terminal(application: Application, keys: Keys) -> None:
    keys.claim("a\nb\x1b[2J")
    stdout = application.actors("idempotency", "list").stdout
    assert '"a\\nb\\u001b[2J"' in stdout
    assert len(stdout.splitlines()) == 2


def test_done_keys_are_not_to_be_listed(application: Application, keys: Keys) -> None:
    assert application.actors("idempotency", "list", "--state", "done").exit_code == 2


def test_a_malformed_cursor_is_a_usage_error(
    application: Application, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys.store, "list_open", lambda after, limit: float(after))
    result = application.actors("idempotency", "list", "--after", "there")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "'there'" in result.stderr


# show


def test_show_says_all_that_is_known(application: Application, keys: Keys) -> None:
    error = json.dumps({"type": "GatewayBusy", "message": "try later"})
    name = keys.end("charge:42", Ending.WAITING, owner="message-1", due_ms=60_000, retries=2, error=error)
    record = keys.store.inspect(name)
    assert record is not None
    assert application.json("idempotency", "show", name) == {
        "digest": name,
        "state": "waiting",
        "scope": "charge",
        "key": "charge:42",
        "owner": "message-1",
        "fence": record.fence,
        "until": "2026-01-01T00:01:00.000+00:00",
        "lost": 0,
        "retries": 2,
        "replays": 0,
        "fingerprint": "",
        "result": None,
        "error": {"type": "GatewayBusy", "message": "try later"},
        "changed": "2026-01-01T00:00:00.000+00:00",
        "expires": "2026-01-02T00:01:00.000+00:00",
        "now": "2026-01-01T00:00:00.000+00:00",
    }
    lines = application.actors("idempotency", "show", name).stdout.splitlines()
    rows = {line[:15].strip(): line[15:].strip() for line in lines}
    assert rows["lease or due"] == "due in 1m"
    assert rows["failed attempts"] == "2"
    assert rows["error"] == "GatewayBusy: try later"
    assert rows["forgotten"].endswith("(in 1d)")


@pytest.mark.parametrize(
    ("result", "in_json", "in_words"),
    [
        ("", None, "null"),
        ('{"value":{"id":7}}', {"value": {"id": 7}}, '{"id": 7}'),
        ('{"oversize":70000}', {"oversize": 70_000}, "not kept: 70000 bytes are too many"),
        ('{"skipped":"overlap"}', {"skipped": "overlap"}, "skipped: overlap"),
        ('{"unstored":"a set"}', {"unstored": "a set"}, "not kept: a set"),
        ("no JSON", "no JSON", "no JSON"),
    ],
)
def test_show_decodes_the_result(
    application: Application, keys: Keys, result: str, in_json: object, in_words: str
) -> None:
    name = keys.end("charge:42", Ending.DONE, result=result)
    assert application.json("idempotency", "show", name)["result"] == in_json
    [line] = [
        line for line in application.actors("idempotency", "show", name).stdout.splitlines() if line.startswith("resul")
    ]
    assert line.removeprefix("result").strip() == in_words


def test_a_key_is_found_by_digest_by_message_and_by_itself(application: Application, keys: Keys) -> None:
    name = keys.end("charge:42", Ending.DONE, owner="message-1")
    for arguments in (
        [name],
        ["message-1"],
        ["charge:42", "--actor", "charge"],
        ["charge:42", "--scope", "charge"],
        ["message-1", "--actor", "charge"],
        [name, "--actor", "charge"],
    ):
        assert application.json("idempotency", "show", *arguments)["digest"] == name


def test_a_message_without_a_key_is_found_by_its_actor_given_or_loaded(application: Application, keys: Keys) -> None:
    application.write("shop_tasks", TASKS)
    name = keys.end("message-1", Ending.DONE)
    assert application.actors("idempotency", "show", "message-1").exit_code == 1
    assert application.json("idempotency", "show", "message-1", "--actor", "charge")["digest"] == name
    assert application.json("idempotency", "show", "message-1", "-m", "shop_tasks")["digest"] == name


def test_a_key_without_its_actor_is_not_guessed(application: Application, keys: Keys) -> None:
    application.write("shop_tasks", TASKS)
    keys.end("charge:42", Ending.DONE, owner="message-1")
    assert application.actors("idempotency", "release", "charge:42", "-m", "shop_tasks").exit_code == 1


@pytest.mark.parametrize("command", ["show", "release", "complete"])
@pytest.mark.parametrize(
    "arguments", [["charge:43"], ["charge:43", "--actor", "charge"], ["charge:42", "--actor", "x"]]
)
def test_what_is_not_known_is_status_1_and_says_what_a_key_is(
    application: Application, keys: Keys, command: str, arguments: list[str]
) -> None:
    keys.end("charge:42", Ending.DONE)
    result = application.actors("idempotency", command, *arguments, "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    [line] = result.stderr.splitlines()
    assert line.startswith(f"Error: '{arguments[0]}' is not known in redis://127.0.0.1:6379/0. KEY is a digest")
    assert "message id" in line
    assert "--actor the key itself" in line
    assert "a key that is done is forgotten 1d later (ACTORS_IDEMPOTENCY_TTL_MS)" in line


# release and complete


@pytest.mark.parametrize("ending", [Ending.WAITING, Ending.FAILED, Ending.DONE])
def test_release_lets_the_next_message_run(application: Application, keys: Keys, ending: Ending) -> None:
    name = keys.end("charge:42", ending, owner="message-1", due_ms=60_000)
    result = application.actors("idempotency", "release", name)
    assert result.exit_code == 0
    assert result.stdout == f"released charge charge:42, which was {ending}: the next message with it runs\n"
    assert keys.claim("charge:42", owner="message-2").fence > 0


def test_complete_keeps_the_key_from_running_again(application: Application, keys: Keys) -> None:
    name = keys.end("charge:42", Ending.FAILED, owner="message-1")
    assert application.actors("idempotency", "complete", name, "--result", '{"id": 7}').exit_code == 0
    _, [answer] = keys.store.exchange([], [Request(name, "charge", "charge:42", "message-2", "token")])
    assert (answer.verdict, answer.result) == (Verdict.DONE, '{"value":{"id":7}}')


@pytest.mark.parametrize("result", [[], ["--result", "null"]])
def test_complete_without_a_result_is_as_if_the_actor_had_returned_none(
    application: Application, keys: Keys, result: list[str]
) -> None:
    name = keys.end("charge:42", Ending.FAILED)
    after = application.json("idempotency", "complete", name, *result)["after"]
    assert (after["state"], after["result"]) == ("done", None)


@pytest.mark.parametrize("result", ["{", "NaN", "[" * 100_000, json.dumps("x" * 65_525)])
def test_a_result_that_an_actor_could_not_have_is_a_usage_error(
    application: Application, keys: Keys, result: str
) -> None:
    name = keys.end("charge:42", Ending.FAILED)
    ended = application.actors("idempotency", "complete", name, "--result", result)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert "--result" in ended.stderr
    assert keys.state(name) is State.FAILED


def test_the_json_has_the_record_before_and_after(application: Application, keys: Keys) -> None:
    name = keys.end("charge:42", Ending.FAILED, owner="message-1", error="no JSON")
    both = application.json("idempotency", "release", "message-1")
    assert [both[when]["digest"] for when in ("before", "after")] == [name, name]
    assert [both[when]["state"] for when in ("before", "after")] == ["failed", "released"]
    assert [both[when]["error"] for when in ("before", "after")] == ["no JSON", None]
    assert both["before"]["fence"] < both["after"]["fence"]


@pytest.mark.parametrize(("command", "state"), [("release", State.RELEASED), ("complete", State.DONE)])
def test_a_worker_that_is_at_it_is_left_alone_unless_forced(
    application: Application, keys: Keys, command: str, state: State
) -> None:
    claim = keys.claim("charge:42", owner="message-1")
    name = claim.request.digest
    keys.time += 12_000
    refused = application.actors("idempotency", command, name)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.startswith("Error: a worker is at charge 'charge:42': its lease, held by message message-1, ")
    assert "lasts 18s more" in refused.stderr
    assert "--force" in refused.stderr
    assert keys.state(name) is State.RUNNING

    forced = application.actors("idempotency", command, name, "--force")
    assert forced.exit_code == 0
    assert audited(forced.stderr)["forced"] is True
    assert keys.state(name) is state
    assert keys.store.exchange([Outcome(claim, Ending.FAILED)], []) == ([False], [])


def test_a_lease_that_is_over_protects_nothing(application: Application, keys: Keys) -> None:
    name = keys.claim("charge:42").request.digest
    keys.time += 30_000
    assert application.actors("idempotency", "release", name).exit_code == 0


# The audit


@pytest.mark.parametrize("operation", ["release", "complete"])
def test_every_change_leaves_one_line_on_stderr_and_in_the_log(
    application: Application, keys: Keys, operation: str, caplog: pytest.LogCaptureFixture
) -> None:
    name = keys.end("charge:42\n", Ending.FAILED, owner="message-1")
    with caplog.at_level(logging.INFO, logger="actors.audit"):
        entry = audited(application.actors("idempotency", operation, name).stderr)
    [logged] = [record for record in caplog.records if record.name == "actors.audit"]
    assert (logged.levelname, json.loads(logged.getMessage()), vars(logged)["audit"]) == ("INFO", entry, entry)
    user, _, host = entry.pop("by").partition("@")
    assert user
    assert host
    assert entry.pop("time").endswith("+00:00")
    assert entry == {
        "operation": operation,
        "outcome": "done",
        "digest": name,
        "scope": "charge",
        "key": "charge:42\n",
        "before": "failed",
        "message_id": "message-1",
        "forced": False,
    }


def test_the_audit_is_logged_whatever_the_level_of_the_rest() -> None:
    assert log.isEnabledFor(logging.INFO)


def test_what_changes_nothing_leaves_no_line(application: Application, keys: Keys) -> None:
    name = keys.claim("charge:42").request.digest
    assert "audit" not in application.actors("idempotency", "show", name).stderr
    assert "audit" not in application.actors("idempotency", "list").stderr
    assert "audit" not in application.actors("idempotency", "release", name).stderr


def test_a_change_that_may_have_happened_is_noted_as_unsure(
    application: Application, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = keys.end("charge:42", Ending.FAILED)

    def no_answer(digest: str, *, force: bool) -> Record:
        raise StoreUnavailable("the store does not answer: timeout")

    monkeypatch.setattr(keys.store, "release", no_answer)
    result = application.actors("idempotency", "release", name)
    assert (result.exit_code, result.stdout) == (3, "")
    noted, problem = result.stderr.splitlines()
    assert audited(noted)["outcome"] == "unsure"
    assert problem.endswith("the release may have happened all the same: look with show")


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (-5, "0ms"),
        (999, "999ms"),
        (1_000, "1s"),
        (59_999, "59s"),
        (60_000, "1m"),
        (3_905_000, "1h5m"),
        (86_400_000, "1d"),
        (90_061_000, "1d1h"),
        (86_465_000, "1d"),
    ],
)
def test_a_duration_has_at_most_two_units(milliseconds: int, text: str) -> None:
    assert duration(milliseconds) == text
