"""`actors dead`: what it asks for, and what it prints of what was found."""

import json
import shlex
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from actors.dead_letters import (
    Dead,
    Group,
    Groups,
    Looked,
    Objection,
    Page,
    Preview,
    Replayed,
    Selection,
    Terms,
)
from middleware import Letter
from tests.unit.actors.conftest import Application

LETTER = Letter(
    id="l1",
    message_id="m1",
    queue="default",
    reason="exhausted",
    error_type="ValueError",
    error="boom",
    fingerprint="00ff",
    died=1_700_000_000_000,
    actor="charge",
    attempts=6,
)
DEAD = Dead(LETTER, "default", "default.quorum.XQ", None, 120)
GROUP = Group("00ff", "charge", "exhausted", "ValueError", 3, LETTER.died, LETTER.died, DEAD)
LOOKED = Looked("default", "default.quorum.XQ", 3, 0)
NONE = Groups([], 0, 0, [])


class Graves:
    """What there is to find, and what was asked."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}
        self.page = Page([], "", [])
        self.found = NONE
        self.kept: list[tuple[Dead, Objection]] = []
        self.ends: Callable[[Terms], Replayed] = lambda terms: Replayed(replayed=3)

    def __call__(self, *queues: str, timeout_s: float) -> "Graves":
        self.asked |= {"queues": queues, "timeout_s": timeout_s}
        return self

    def look(self, selection: Selection, **options: Any) -> Page:
        self.asked |= {"selection": selection, **options}
        if options["after"] == "there":
            raise ValueError
        return self.page

    def groups(self, selection: Selection, **options: Any) -> Groups:
        self.asked |= {"selection": selection, **options}
        return self.found

    def preview(self, selection: Selection, *, force: bool) -> Preview:
        self.asked |= {"selection": selection, "force": force}
        kinds = Counter(objection.kind for _, objection in self.kept)
        return Preview(2_000_000_000_000, self.found, self.found.count - len(self.kept), kinds, self.kept)

    def replay(self, selection: Selection, terms: Terms) -> Replayed:
        self.asked |= {"replayed": selection, "terms": terms}
        return self.ends(terms)

    def discard(self, selection: Selection, note: Callable[[Dead], None], go_on: Callable[[], bool]) -> int:
        self.asked |= {"discarded": selection}
        note(DEAD)
        return 1


@pytest.fixture
def graves(application: Application, monkeypatch: pytest.MonkeyPatch) -> Graves:
    graves = Graves()
    monkeypatch.setattr("actors.cli.dead.selecting.dead_letters", graves)
    application.write("shop_tasks", "from actors import actor\n\n@actor\ndef charge(order_id: int) -> None: ...\n")
    monkeypatch.setenv("ACTORS_MODULES", "shop_tasks")
    return graves


def now() -> int:
    return time.time_ns() // 1_000_000


def test_a_row_says_which_message_died_when_and_of_what(application: Application, graves: Graves) -> None:
    dead = replace(DEAD, letter=replace(LETTER, died=now() - 3_600_500, replays=2), expires=now() + 5 * 86_400_500)
    graves.page = Page([dead], "", [LOOKED])
    result = application.actors("dead", "list")
    heading, row, *_, last = result.stdout.splitlines()
    assert heading.split() == ["LETTER", "MESSAGE", "ACTOR", "QUEUE", "REASON", "ERROR", "TRIES", "DIED", "EXPIRES"]
    for cell in (
        "l1",
        "m1",
        "charge",
        "default",
        "exhausted",
        "ValueError: boom",
        "6, replay 2",
        "(1h ago)",
        "(in 5d)",
    ):
        assert cell in row
    assert last == "default.quorum.XQ: 3 dead letters"
    assert result.stderr == ""
    [listed] = application.json("dead", "list")["letters"]
    assert (listed["id"], listed["replays"], listed["first"], listed["bytes"]) == ("l1", 2, None, 120)


def test_a_letter_can_not_write_on_the_terminal(application: Application, graves: Graves) -> None:
    letter = replace(LETTER, id="a\nb", actor="c\x1b[2J", error="first\nsecond\x1b", error_type="x" * 100)
    graves.page = Page([replace(DEAD, letter=letter)], "", [])
    stdout = application.actors("dead", "list").stdout
    assert len(stdout.splitlines()) == 2
    assert "\x1b" not in stdout


def test_letters_that_expire_within_a_day_are_warned_of(application: Application, graves: Graves) -> None:
    graves.page = Page(
        [replace(DEAD, expires=now() + 3_630_000), replace(DEAD, expires=now() + 25 * 3_600_000)], "", []
    )
    warning = application.actors("dead", "list").stderr
    assert warning.startswith("Warning: 1 of these expire within 24 hours, the first in 1h")


def test_options_say_which_letters_are_meant(application: Application, graves: Graves) -> None:
    began = now()
    options = "--queue a --queue b --actor charge --reason poison --reason none --error KeyError --fingerprint 00ff"
    application.actors("dead", "list", *options.split(), "--since", "2h", "--until", "2026-03-01T09:00:00+08:00")
    selection = graves.asked["selection"]
    assert selection == Selection(
        queues={"a", "b"},
        actors={"charge"},
        reasons={"poison", ""},
        error_types={"KeyError"},
        fingerprints={"00ff"},
        ids=frozenset(),
        since=selection.since,
        until=1_772_326_800_000,
    )
    assert 0 <= selection.since - (began - 7_200_000) < 60_000
    assert sorted(graves.asked["queues"]) == ["a", "b"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--reason", "poisn"], "there is no reason 'poisn', did you mean 'poison'?"),
        (["--since", "yesterday"], "'yesterday' is no time"),
        (["--until", "2026-03-01T09:00:00"], "has no time zone"),
        (["--after", "there"], "is no place to go on from"),
        (["--limit", "0"], "--limit"),
    ],
)
def test_what_is_malformed_is_a_usage_error(
    application: Application, graves: Graves, options: list[str], text: str
) -> None:
    result = application.actors("dead", "list", *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert text in " ".join(result.stderr.split())


def test_without_modules_a_queue_must_be_named(
    application: Application, graves: Graves, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ACTORS_MODULES")
    refused = application.actors("dead", "list")
    assert refused.exit_code == 2
    assert "no modules are named, so no queue is known" in " ".join(refused.stderr.split())
    assert application.actors("dead", "list", "--queue", "default").exit_code == 0


def test_the_last_line_of_a_page_is_the_command_for_the_next(application: Application, graves: Graves) -> None:
    graves.page = Page([DEAD], "cursor=", [replace(LOOKED, left=9)])
    given = ["--actor", "charge", "--reason", "none", "--limit", "1", "--depth", "5", "-m", "shop_tasks"]
    last = application.actors("dead", "list", *given).stdout.splitlines()[-1]
    first = graves.asked["selection"]
    program, *following = shlex.split(last.removeprefix("next page: "))
    assert program == "actors"
    application.actors(*following)
    assert graves.asked["selection"] == first
    assert (graves.asked["limit"], graves.asked["depth"], graves.asked["after"]) == (1, 5, "cursor=")


def test_what_was_not_looked_at_is_said(application: Application, graves: Graves) -> None:
    graves.page = Page([DEAD], "", [replace(LOOKED, seen=5, left=7)])
    result = application.actors("dead", "list", "--depth", "5")
    assert result.stderr == "Warning: looked at 5 of 12 in default.quorum.XQ; for more give --depth\n"


def test_groups_are_counted_with_an_example(application: Application, graves: Graves) -> None:
    graves.found = Groups([GROUP], 5, 2, [LOOKED])
    result = application.actors("dead", "list", "--groups")
    row = result.stdout.splitlines()[1]
    for cell in ("3", "charge", "exhausted", "ValueError: boom", "00ff", "l1"):
        assert cell in row
    assert result.stdout.splitlines()[-1] == "2 more letters are of further groups"
    assert application.json("dead", "list", "--groups")["groups"][0]["count"] == 3


def test_a_dry_run_names_what_would_be_kept_and_replays_nothing(application: Application, graves: Graves) -> None:
    graves.found = Groups([GROUP], 3, 0, [LOOKED])
    graves.kept = [(DEAD, Objection("arguments", "too many"))]
    result = application.actors("dead", "replay", "l1", "--dry-run")
    assert result.exit_code == 1
    assert "3 dead letters: 2 to replay, 1 to keep" in result.stdout
    assert "kept: l1 (arguments): too many; --force replays it" in result.stdout
    assert "terms" not in graves.asked
    assert graves.asked["selection"].ids == {"l1"}
    report = application.json("dead", "replay", "--dry-run", status=1)
    assert (report["preview"]["kept"], report["outcome"]) == ({"arguments": 1}, None)


def test_a_replay_is_of_what_was_previewed_on_the_terms_that_are_given(
    application: Application, graves: Graves
) -> None:
    graves.found = Groups([GROUP], 3, 0, [LOOKED])
    options = ["--yes", "--force", "--rate", "50", "--stop-after", "4"]
    result = application.actors("dead", "replay", "--actor", "charge", *options)
    assert (result.exit_code, "replayed 3 dead letters" in result.stdout) == (0, True)
    terms = graves.asked["terms"]
    assert (terms.rate, terms.stop_after, terms.force) == (50.0, 4, True)
    assert graves.asked["replayed"] == replace(graves.asked["selection"], until=2_000_000_000_000)
    [line] = [line for line in result.stderr.splitlines() if line.startswith("audit: ")]
    assert json.loads(line[7:])["operation"] == "replay"


def test_a_replay_that_stops_says_why_and_ends_with_1(application: Application, graves: Graves) -> None:
    graves.found = Groups([GROUP], 3, 0, [LOOKED])
    graves.ends = lambda terms: Replayed(replayed=1, relapsed=12, stopped="12 messages have failed again")
    result = application.actors("dead", "replay", "--yes")
    assert result.exit_code == 1
    assert "Error: stopped: 12 messages have failed again. What was not replayed is where it was." in result.stderr
    outcome = application.json("dead", "replay", "--yes", status=1)["outcome"]
    assert (outcome["failed_again"], outcome["stopped"]) == (12, "12 messages have failed again")


def test_what_is_kept_during_a_replay_ends_it_with_1(application: Application, graves: Graves) -> None:
    graves.found = Groups([GROUP], 3, 0, [LOOKED])

    def end(terms: Terms) -> Replayed:
        terms.kept(DEAD, Objection("conflict", "held"))
        return Replayed(replayed=2, kept=1)

    graves.ends = end
    assert application.json("dead", "replay", "--yes", status=1)["outcome"]["kept"] == {"conflict": 1}


def test_where_nothing_matches_nothing_is_asked_or_done(application: Application, graves: Graves) -> None:
    result = application.actors("dead", "replay", "--yes")
    assert (result.exit_code, result.stdout) == (0, "no dead letter matches\n")
    assert "terms" not in graves.asked


@pytest.mark.parametrize("command", ["replay", "discard"])
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_what_nobody_can_confirm_is_refused(
    application: Application, graves: Graves, command: str, options: list[str]
) -> None:
    result = application.actors("dead", command, *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--yes" in result.stderr


def test_each_letter_that_is_discarded_leaves_a_line_for_an_audit(application: Application, graves: Graves) -> None:
    graves.found = Groups([GROUP], 3, 0, [LOOKED])
    preview = application.actors("dead", "discard", "--actor", "charge", "--dry-run")
    assert "actors dead export --actor charge --out FILE" in preview.stdout
    assert "discarded" not in graves.asked
    result = application.actors("dead", "discard", "--actor", "charge", "--yes")
    assert result.stdout.splitlines()[-1] == "discarded 1 dead letters"
    [line] = [line for line in result.stderr.splitlines() if line.startswith("audit: ")]
    entry = json.loads(line[7:])
    assert (entry["operation"], entry["letter"], entry["message_id"]) == ("discard", "l1", "m1")


@pytest.mark.parametrize("words", [["import", "nothing.jsonl"], ["export", "--out", "no/such/folder"]])
def test_a_file_that_can_not_be_opened_is_a_usage_error(
    application: Application, graves: Graves, words: list[str]
) -> None:
    assert application.actors("dead", *words).exit_code == 2
