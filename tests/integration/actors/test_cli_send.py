"""`actors send` and `actors relay` on a real RabbitMQ."""

from datetime import UTC, datetime, timedelta

from services.deadline import until
from tests.integration.project import Project


def test_what_is_sent_is_run_by_a_worker(project: Project) -> None:
    sent = project.json("send", "charge", "--args", "[42]")
    assert {name: sent[name] for name in ("actor", "queue", "due")} == {
        "actor": "charge",
        "queue": "default",
        "due": None,
    }
    assert "guest:***@" in sent["broker"]
    with project.worker():
        until(lambda: project.ran() == ["42"], seconds=20, what="the job")


def test_without_json_it_is_one_line(project: Project) -> None:
    ended = project.actors("send", "charge", "--kwargs", '{"order_id": 42}')
    assert (ended.returncode, ended.stderr) == (0, "")
    [line] = ended.stdout.splitlines()
    assert line.startswith("sent charge to queue default on amqp://guest:***@")


def test_a_delay_and_an_eta_say_when_it_is_due(project: Project) -> None:
    before = datetime.now(UTC)
    delayed = project.json("send", "charge", "--args", "[1]", "--delay", "1h")
    eta = (before + timedelta(hours=1)).replace(microsecond=0)
    planned = project.json("send", "charge", "--args", "[2]", "--eta", eta.isoformat())
    assert before + timedelta(hours=1) <= datetime.fromisoformat(delayed["due"])
    assert timedelta() <= datetime.fromisoformat(planned["due"]) - eta < timedelta(milliseconds=2)
    assert project.queues()["default"]["ready"] == 0


def test_the_relay_alone_moves_what_is_due_and_ends_on_sigterm(project: Project) -> None:
    project.actors("send", "charge", "--args", "[1]", "--delay", "300ms")
    with project.process("-m", "actors", "relay") as log:
        until(lambda: project.queues()["default"]["ready"] == 1, seconds=20, what="the message in its queue")
    assert "start: " in log.read_text()
    assert project.ran() == []


def test_the_relay_waits_for_a_rabbitmq_that_is_away(project: Project) -> None:
    with project.process("-m", "actors", "relay", ACTORS_BROKER_URL="amqp://guest:secret@127.0.0.1:1/") as log:
        until(lambda: "no connection" in log.read_text(), seconds=20, what="its warning")
    assert "secret" not in log.read_text()
