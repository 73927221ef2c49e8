"""``actors migrate``."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from actors.migrating import abandon, file_to_move
from services.deadline import until
from tests.integration.migrating.site import file_of
from tests.integration.project import Project

# What the processes of an application have that runs on a file; ACTORS_BROKER_URL says which.
ON_A_FILE = {"ACTORS_BROKER_URL": "sqlite:///actors.db", "ACTORS_STORE_URL": "", "ACTORS_QUEUE_PREFIX": ""}
NOTHING_LISTENS = "amqp://guest:guest@127.0.0.1:1/"


def migrate(project: Project, *arguments: str, to: str | None = None, status: int = 0) -> str:
    """What the command prints; it must end with *status*."""
    target = ["--to", to or project.env["ACTORS_BROKER_URL"], "--store", project.env["ACTORS_STORE_URL"]]
    ended = project.actors("migrate", "--from", "sqlite:///actors.db", *target, *arguments)
    assert ended.returncode == status, ended.stdout + ended.stderr
    return ended.stdout if status == 0 else ended.stderr


@pytest.fixture
def used(project: Project) -> Project:
    """An application that has sent four messages to its file."""
    for order in ("1", "2", "3"):
        sent = project.actors("send", "charge", "--args", f"[{order}]", **ON_A_FILE)
        assert sent.returncode == 0, sent.stderr
    assert project.actors("send", "report", "--args", '["monday"]', "--delay", "1h", **ON_A_FILE).returncode == 0
    return project


def test_an_application_goes_on_in_the_new_place_without_a_change_of_its_code(used: Project) -> None:
    said = migrate(used)
    assert {("messages", "3"), ("delayed messages", "1")} <= rows(said)
    assert f"moved to {used.env['ACTORS_BROKER_URL'].replace(':guest@', ':***@')}" in said
    assert "Set ACTORS_BROKER_URL and ACTORS_STORE_URL" in said

    with used.worker():
        until_ran(used, {"1", "2", "3"})
    assert sorted(used.ran()) == ["1", "2", "3"]
    assert [each["actor"] for each in used.json("delayed", "list")["delayed"]] == ["report"]


def rows(table: str) -> set[tuple[str, ...]]:
    return {tuple(part.strip() for part in line.split("  ") if part.strip()) for line in table.splitlines()}


def until_ran(project: Project, orders: set[str]) -> None:
    until(lambda: set(project.ran()) == orders, seconds=30, what="the orders")


def test_it_prints_json(used: Project) -> None:
    told = json.loads(migrate(used, "--json"))
    moved = {name: count for name, count in told["moved"].items() if count}
    assert moved == {"queued": 3, "delayed": 1}
    assert (told["came_meanwhile"], told["maybe_doubled"], told["is_over"]) == (0, 0, True)
    assert json.loads(migrate(used, "--json"))["moved"]["queued"] == 0


def test_a_dry_run_counts_and_changes_nothing(used: Project) -> None:
    before = (used.folder / "actors.db").read_bytes()
    told = json.loads(migrate(used, "--dry-run", "--json"))
    assert (told["to_move"]["queued"], told["to_move"]["delayed"], told["in_use_by"]) == (3, 1, [])
    assert told["queues"] == {
        "default": {"dead": 0, "delayed": 0, "queued": 3},
        "reports": {"dead": 0, "delayed": 1, "queued": 0},
    }
    assert {("messages", "3"), ("delayed messages", "1")} <= rows(migrate(used, "--dry-run"))
    assert (used.folder / "actors.db").read_bytes() == before


def test_a_file_that_was_given_up_is_used_again(used: Project) -> None:
    assert "nothing of" in migrate(used, "--abandon")
    migrate(used)
    refused = used.actors("send", "charge", "--args", "[4]", **ON_A_FILE)
    assert refused.returncode != 0
    assert "all that it keeps goes to amqp://guest:***@" in refused.stderr
    assert "can be used again" in migrate(used, "--abandon")
    assert used.actors("send", "charge", "--args", "[4]", **ON_A_FILE).returncode == 0


def test_a_worker_of_the_file_is_named_and_stops_it(used: Project) -> None:
    with used.process("-m", "dramatiq", "actors", "--processes", "1", "--threads", "1", **ON_A_FILE):
        until_ran(used, {"1", "2", "3"})
        error = migrate(used, status=1)
    assert error.startswith("Error: ")
    assert "is in use: " in error
    assert "workers wait for messages of 2 queues" in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--from", "amqp://guest:secret@here/", "--to", "sqlite:///x.db"], "'amqp://guest:***@here/' is no file"),
        (["--from", "sqlite:///no.db", "--to", NOTHING_LISTENS], "there is no file /"),
        (["--from", "sqlite:///actors.db"], "no RabbitMQ is named"),
        (["--from", "sqlite:///actors.db", "--to", "sqlite:///other.db"], "is no RabbitMQ"),
        (
            ["--from", "sqlite:///actors.db", "--to", NOTHING_LISTENS, "--store", "sqlite:///other.db"],
            "which workers on other machines would not see",
        ),
        (["--from", "sqlite:///garbage.db", "--to", NOTHING_LISTENS], "it is no SQLite database"),
    ],
)
def test_what_cannot_be_meant_is_refused(project: Project, arguments: list[str], said: str) -> None:
    file_of(str(project.folder / "actors.db")).close()
    with closing(file_of(str(project.folder / "actors.db"))) as file, file.read():
        pass
    (project.folder / "garbage.db").write_bytes(b"garbage" * 1_000)
    ended = project.actors("migrate", *arguments)
    # A command line is quoted in a box of lines.
    assert said in " ".join(ended.stderr.replace("│", " ").split()), ended.stderr
    assert ended.returncode == 2
    assert "secret" not in ended.stderr
    assert not (project.folder / "no.db").exists()


def test_an_unreachable_rabbitmq_changes_nothing(used: Project) -> None:
    error = migrate(used, "--timeout", "1", to=NOTHING_LISTENS, status=3)
    assert error.startswith("Error: amqp://guest:***@127.0.0.1:1/")
    assert used.actors("send", "charge", "--args", "[4]", **ON_A_FILE).returncode == 0


def test_an_unreachable_store_changes_nothing(used: Project) -> None:
    command = [
        "--from",
        "sqlite:///actors.db",
        "--to",
        used.env["ACTORS_BROKER_URL"],
        "--store",
        "redis://127.0.0.1:1/0",
    ]
    ended = used.actors("migrate", *command)
    assert ended.returncode == 3
    assert "the store does not answer" in ended.stderr
    assert abandon(file_to_move(f"sqlite:///{used.folder / 'actors.db'}")) is None


def test_settings_of_a_module_that_calls_configure_count(used: Project, tmp_path: Path) -> None:
    used.write("shop_settings", "import actors\nactors.configure(queue_type='classic')\n")
    assert "(classic queues, queue prefix" in migrate(used, "-m", "shop_settings")
