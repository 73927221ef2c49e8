"""`actors delayed` on a file, beside real workers."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from services.deadline import until
from tests.integration.shops import EmbeddedShop

SEND = """
from shop_tasks import charge, report
charge.broker.enqueue_many((charge.message(n).copy(message_id=f"m{n}") for n in range(50)), delay=3_600_000)
report.send_with_options(args=("monday",), delay=86_400_000)
"""


@pytest.fixture
def shop(tmp_path: Path) -> EmbeddedShop:
    """An application with 51 delayed messages."""
    shop = EmbeddedShop(tmp_path)
    assert shop.python("-c", SEND).returncode == 0
    return shop


def listed(shop: EmbeddedShop, *arguments: str) -> list[dict[str, Any]]:
    return list(shop.json("delayed", "list", *arguments)["delayed"])


def test_the_list_is_the_same_beside_a_worker(shop: EmbeddedShop) -> None:
    before = shop.json("delayed", "list")
    assert {each["message_id"] for each in before["delayed"]} > {f"m{number}" for number in range(50)}
    assert (before["holds"], before["silent_relays"]) == ([], 0)
    with shop.worker():
        assert listed(shop) == before["delayed"]


def test_what_is_cancelled_never_runs_and_what_is_run_now_does(shop: EmbeddedShop) -> None:
    with shop.worker():
        ended = shop.actors("delayed", "cancel", "m1", "m48")
        assert ended.returncode == 0, ended.stderr
        assert [line.split(", due")[0] for line in ended.stdout.splitlines()] == [
            "cancelled m1 of charge",
            "cancelled m48 of charge",
        ]
        lines = [json.loads(line.removeprefix("audit: ")) for line in ended.stderr.splitlines()]
        assert [(line["operation"], line["message_id"]) for line in lines] == [("cancel", "m1"), ("cancel", "m48")]

        assert shop.actors("delayed", "run-now", "m2", "m47").returncode == 0
        until(lambda: sorted(shop.ran()) == ["2", "47"], seconds=20, what="those that were to run now")
        assert len(listed(shop)) == 47

        again = shop.actors("delayed", "run-now", "m1")
        assert (again.returncode, again.stdout) == (1, "")
        assert f"'m1': not among the delayed messages of sqlite:///{shop.file}" in again.stderr
        assert sorted(shop.ran()) == ["2", "47"]


def test_filters_and_pages(shop: EmbeddedShop) -> None:
    assert [each["actor"] for each in listed(shop, "--queue", "reports")] == ["report"]
    assert listed(shop, "--actor", "refund") == []
    page = shop.json("delayed", "list", "--limit", "20")
    rest = listed(shop, "--limit", "100", "--after", page["next"])
    assert (len(page["delayed"]), len(rest)) == (20, 31)
    dues = [datetime.fromisoformat(each["due"]) for each in [*page["delayed"], *rest]]
    assert dues == sorted(dues)
    assert {each["hold_queue"] for each in rest} == {None}
    # However little it looks at in RabbitMQ: in a file all are found by an index
    assert len(listed(shop, "--depth", "1")) == 51


@pytest.mark.parametrize("after", ["there", "7", "1:there", f"{2**64}:1"])
def test_a_place_that_is_none_is_a_usage_error(shop: EmbeddedShop, after: str) -> None:
    assert shop.actors("delayed", "list", "--after", after).returncode == 2


@pytest.mark.parametrize("command", [["list"], ["cancel", "m1"], ["run-now", "m1"]])
def test_a_file_that_can_not_be_used_ends_a_command_with_one_line_and_3(tmp_path: Path, command: list[str]) -> None:
    shop = EmbeddedShop(tmp_path)
    shop.file.write_bytes(b"not a database" * 100)
    ended = shop.actors("delayed", *command, "--json")
    assert (ended.returncode, ended.stdout) == (3, "")
    [line] = ended.stderr.splitlines()
    assert line.startswith(f"Error: {shop.file}: it is no SQLite database")


def test_a_relay_has_nothing_to_do(shop: EmbeddedShop) -> None:
    ended = shop.actors("relay")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "a relay has nothing to do" in ended.stderr
