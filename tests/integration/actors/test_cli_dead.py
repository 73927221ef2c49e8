"""`actors dead` on each engine, beside real workers."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dramatiq
import pytest

import services
from middleware import Letter
from middleware.failure import Failure, Reason
from services.deadline import until
from tests.integration.project import Project
from tests.integration.shops import EmbeddedShop, Shop, on_rabbitmq

NOWHERE_AMQP = "amqp://guest:guest@127.0.0.1:1/"

TASKS = """
    from pathlib import Path

    from actors import actor

    @actor
    def charge(order_id: int) -> None:
        with Path("ran").open("a") as ran:
            ran.write(f"{order_id}\\n")

    @actor(queue_name="reports")
    def report(day: str) -> None: ...
"""


@pytest.fixture(params=["sqlite", "rabbitmq"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Shop:
    """Five charges and a report that have failed for good, as workers leave them; no worker runs."""
    # Only what is asked for is started.
    shop: Shop = EmbeddedShop(tmp_path) if request.param == "sqlite" else request.getfixturevalue("rabbitmq_shop")
    shop.write("shop_tasks", TASKS)
    letters = [buried("default", "charge", order, ValueError(f"order {order} is refused")) for order in range(5)]
    shop.bury([*letters, buried("reports", "report", "monday", RuntimeError("no paper"))])
    return shop


@pytest.fixture
def rabbitmq_shop(tmp_path: Path, broker_url: str, redis_url: str, prefix: str) -> Iterator[Shop]:
    with on_rabbitmq(tmp_path, broker_url=broker_url, store_url=redis_url, prefix=prefix) as shop:
        yield shop


def buried(queue: str, actor: str, argument: object, error: Exception) -> tuple[Letter, bytes]:
    traceback = f'Traceback (most recent call last):\n  File "shop_tasks.py", line 9, in {actor}\n{error!r}'
    message: dramatiq.Message[None] = dramatiq.Message(queue, actor, (argument,), {}, {"traceback": traceback})
    return Letter.of(message, Failure.of(error, Reason.EXHAUSTED), queue=queue), message.encode()


def listed(project: Project, *options: str) -> list[dict[str, Any]]:
    letters = project.json("dead", "list", *options)["letters"]
    assert isinstance(letters, list)
    return letters


def test_what_is_dead_is_listed_shown_and_grouped_and_nothing_changes(shop: Shop) -> None:
    letters = listed(shop)
    assert [letter["actor"] for letter in letters] == [*["charge"] * 5, "report"]
    assert {letter["reason"] for letter in letters} == {"exhausted"}
    assert listed(shop, "--actor", "report")[0]["error"] == "no paper"
    [largest, other] = shop.json("dead", "list", "--groups")["groups"]
    assert (largest["actor"], largest["count"], other["count"]) == ("charge", 5, 1)
    assert len(listed(shop, "--fingerprint", largest["fingerprint"], "--since", "1h")) == 5
    shown = shop.actors("dead", "show", letters[2]["message_id"])
    assert "charge(2)" in shown.stdout
    assert "ValueError: order 2 is refused" in shown.stdout
    assert "Traceback (most recent call last)" in shown.stdout
    assert listed(shop) == letters


def test_the_last_line_of_a_page_is_the_command_for_the_next(shop: Shop) -> None:
    page = shop.actors("dead", "list", "--limit", "4", "--reason", "exhausted").stdout
    last = page.splitlines()[-1].removeprefix("next page: actors ")
    rest = shop.actors(*last.split()).stdout
    assert len(re.findall(r"ValueError|RuntimeError", page)) == 4
    assert len(re.findall(r"ValueError|RuntimeError", rest)) == 2


def test_a_replay_says_first_what_it_would_do_and_then_does_it(shop: Shop) -> None:
    preview = shop.actors("dead", "replay", "--actor", "charge", "--dry-run")
    assert (preview.returncode, shop.dead()) == (0, 6)
    assert "5 dead letters: 5 to replay, 0 to keep" in preview.stdout
    done = shop.json("dead", "replay", "--actor", "charge", "--yes")
    assert done["outcome"] == {"replayed": 5, "kept": {}, "failed_again": 0, "stopped": None}
    assert (done["preview"]["ready"], shop.dead()) == (5, 1)
    with shop.worker():
        until(lambda: len(shop.ran()) == 5, seconds=30, what="the replays")
    assert sorted(shop.ran()) == ["0", "1", "2", "3", "4"]


def test_nothing_is_replayed_or_discarded_that_nobody_has_confirmed(shop: Shop) -> None:
    for command in ("replay", "discard"):
        refused = shop.actors("dead", command)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert "--yes" in refused.stderr
    assert shop.dead() == 6


def test_what_does_not_fit_todays_signature_is_kept_and_named(shop: Shop) -> None:
    shop.write("shop_tasks", TASKS.replace("charge(order_id: int)", "charge(order_id: int, cents: int)"))
    kept = shop.actors("dead", "replay", "--actor", "charge", "--yes")
    assert kept.returncode == 1
    assert "missing a required argument: 'cents'; --force replays it" in kept.stdout
    assert shop.dead() == 6


def test_what_is_discarded_leaves_a_line_for_an_audit_and_may_be_put_back(shop: Shop) -> None:
    before = listed(shop)
    assert shop.actors("dead", "export", "--out", "kept.jsonl", "--bodies", "bodies").returncode == 0
    discarded = shop.actors("dead", "discard", "--actor", "charge", "--yes")
    assert discarded.returncode == 0
    assert "discarded 5 dead letters" in discarded.stdout
    lines = [json.loads(line[7:]) for line in discarded.stderr.splitlines() if line.startswith("audit: ")]
    assert [(line["operation"], line["actor"]) for line in lines] == [("discard", "charge")] * 5
    put_back = shop.actors("dead", "import", "kept.jsonl")
    assert "put back 5 dead letters; 1 were there already" in put_back.stdout
    after = listed(shop)
    assert after == before
    for letter in after:
        body = (shop.folder / "bodies" / letter["id"]).read_bytes()
        assert json.loads(body)["message_id"] == letter["message_id"]


def test_an_export_to_stdout_is_what_an_import_reads_from_stdin(shop: Shop) -> None:
    exported = shop.actors("dead", "export").stdout
    shop.actors("dead", "discard", "--yes")
    command = [sys.executable, "-m", "actors", "dead", "import", "-", "--json"]
    imported = subprocess.run(
        command, cwd=shop.folder, env=shop.env, input=exported, capture_output=True, text=True, timeout=60, check=False
    )
    assert json.loads(imported.stdout)["restored"] == 6
    assert shop.dead() == 6


def test_a_bad_line_is_named_by_its_number_and_ends_an_import_with_1(shop: Shop) -> None:
    (shop.folder / "bad.jsonl").write_text("\nno line\n")
    ended = shop.actors("dead", "import", "bad.jsonl")
    assert ended.returncode == 1
    assert "Error: line 2: it is not JSON" in ended.stderr


def test_ctrl_c_ends_a_replay_in_an_orderly_way(shop: Shop) -> None:
    command = [sys.executable, "-m", "actors", "dead", "replay", "--yes", "--rate", "1"]
    process = subprocess.Popen(
        command, cwd=shop.folder, env=shop.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    until(lambda: shop.ready() >= 2, seconds=30, what="the first replays")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 1, err
    replayed = int(re.findall(r"replayed (\d) dead letters", out)[0])
    assert "Error: stopped: it was interrupted" in err
    assert (shop.ready(), shop.dead()) == (replayed, 6 - replayed)


def test_letters_that_expire_soon_are_warned_of(shop: Shop) -> None:
    assert shop.actors("dead", "export", "--out", "kept.jsonl").returncode == 0
    assert shop.actors("dead", "discard", "--yes").returncode == 0
    retention = {"ACTORS_DEAD_LETTER_RETENTION_MS": "3600000"}
    assert shop.actors("dead", "import", "kept.jsonl", "--fresh", **retention).returncode == 0
    assert "6 of these expire within 24 hours, the first in 59m" in shop.actors("dead", "list").stderr
    found = [each for each in shop.json("check", "--connect")["findings"] if each["check"] == "dead-letters"]
    assert [each["what"] for each in found if each["subject"] == "default"] == [
        "5 dead letters to decide on",
        "5 dead letters will be dropped within 24 hours",
    ]
    assert len(listed(shop)) == 6


def test_what_is_not_there_ends_a_show_with_1(shop: Shop) -> None:
    ended = shop.actors("dead", "show", "nothing")
    assert (ended.returncode, ended.stdout) == (1, "")


@pytest.mark.parametrize("command", [["list"], ["show", "m1"], ["replay", "--yes"], ["discard", "--yes"], ["export"]])
def test_a_rabbitmq_that_is_away_ends_a_command_with_one_line_and_3(project: Project, command: list[str]) -> None:
    ended = project.actors("dead", *command, "--timeout", "0.5", ACTORS_BROKER_URL=NOWHERE_AMQP)
    assert ended.returncode == 3, ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("Error: amqp://guest:***@127.0.0.1:1/")


def test_a_user_without_rights_is_told_what_it_lacks(
    rabbitmq_shop: Shop, rabbitmq_server: services.RabbitMQ, prefix: str
) -> None:
    rabbitmq_shop.bury([buried("default", "charge", 1, ValueError("refused"))])
    with rabbitmq_server.user(prefix, configure="nothing", write="nothing", read="nothing") as url:
        ended = rabbitmq_shop.actors("dead", "list", ACTORS_BROKER_URL=url)
    assert (ended.returncode, ended.stdout) == (3, "")
    assert "ACCESS_REFUSED" in ended.stderr


def test_the_folder_of_bodies_is_made(shop: Shop) -> None:
    assert shop.actors("dead", "export", "--bodies", "a/b", "--actor", "report").returncode == 0
    assert len(list(Path(shop.folder / "a/b").iterdir())) == 1
