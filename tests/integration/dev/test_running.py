"""`actors dev` keeps a worker and a scheduler running, without a server."""

import os
import signal
import subprocess
from pathlib import Path

from services.deadline import until
from services.ports import free_port
from tests.integration.dev.session import PATIENCE_S, Session
from tests.unit.actors.health.asking import ask


def test_jobs_and_ticks_run_without_a_server(session: Session) -> None:
    port = free_port()
    session.env |= {"ACTORS_HEALTH_ADDRESS": f"127.0.0.1:{port}", "ACTORS_RUNTIME_DIR": str(session.folder / "run")}
    with session.running() as dev:
        session.until_state("scheduler", "ready")
        session.send("greet", "Ann")
        session.until_noted("old Ann")
        session.until_noted("tick")
        until(lambda: "hello Ann" in session.texts(), seconds=PATIENCE_S, what="what the job prints")
        until(lambda: "greet" in outcomes(session, "done"), seconds=PATIENCE_S, what="how the job ended")
        until(lambda: queues(session) >= {"default", "reports"}, seconds=PATIENCE_S, what="the queues")
        until(lambda: coming(session) == {"count"}, seconds=PATIENCE_S, what="the next tick")
        until(lambda: ask(port, "/ready")[0] == 200, seconds=PATIENCE_S, what="a worker that says that it is ready")
        dev.send_signal(signal.SIGTERM)
        assert dev.wait(PATIENCE_S) == 0
    assert (session.folder / "actors.db").exists()


def test_a_worker_that_is_killed_is_started_again_and_that_is_said(session: Session) -> None:
    with session.running("--no-scheduler"):
        session.until_state("worker", "ready")
        for pid in session.processes():
            if b"\0dramatiq\0" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
        until(lambda: session.states("worker").count("ready") == 2, seconds=PATIENCE_S, what="another worker")
        assert session.states("worker") == ["starting", "ready", "waiting", "starting", "ready"]
        [died] = [each["why"] for each in session.records("state") if each["state"] == "waiting"]
        assert died == "killed by signal 9; started again in 0.5 s"
        assert session.states("scheduler") == []
        session.send("greet", "Ben")
        session.until_noted("old Ben")


def test_where_nothing_can_change_a_broken_module_ends_it_with_status_2(session: Session) -> None:
    session.write("import nothing_of_the_kind\n")
    with session.running("--no-reload") as dev:
        assert dev.wait(PATIENCE_S) == 2
    assert "No module named 'nothing_of_the_kind'" in session.texts()
    assert session.states("worker") == ["starting", "broken"]
    # It would only say the same.
    assert session.states("scheduler") == []


def test_without_modules_it_says_what_to_name(session: Session) -> None:
    command = [each for each in session.command() if each != "shop_tasks"]
    ended = subprocess.run(
        command, cwd=session.folder, env=session.env, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert ended.returncode == 2
    assert ended.stderr == "Error: no modules are named; name those that declare actors: actors dev shop.tasks\n"


def outcomes(session: Session, outcome: str) -> list[str]:
    return [each["actor"] for each in session.records("ended") if each["outcome"] == outcome]


def queues(session: Session) -> set[str]:
    return {each["queue"] for each in session.records("queue")}


def coming(session: Session) -> set[str]:
    return {each["schedule"] for record in session.records("schedules") for each in record["next"]}
