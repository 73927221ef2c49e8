"""However `actors dev` ends, nothing that it has started is left."""

import os
import signal
from pathlib import Path

import pytest

from services.deadline import until
from tests.integration.dev.session import PATIENCE_S, Session
from tests.integration.dev.terminal import CTRL_C, in_terminal


def test_ctrl_c_in_a_terminal_ends_all_in_order_with_status_0(session: Session) -> None:
    """The terminal sends SIGINT to all of its foreground group; each process is to get one signal and no more."""
    with in_terminal(session, "--plain") as terminal:
        until(lambda: "scheduler: ready" in terminal.text(), seconds=PATIENCE_S, what="the scheduler")
        session.send("block")
        session.until_noted("blocked")
        terminal.press(CTRL_C)
        until(lambda: "Stopping worker process" in terminal.text(), seconds=PATIENCE_S, what="the worker's end begins")
        (session.folder / "go").touch()
        assert terminal.process.wait(PATIENCE_S) == 0, terminal.text()
        session.until_nothing_runs()
        # The job that ran was waited for.
        assert "went" in session.notes()
        assert "Killing worker process" not in terminal.text()


def test_a_second_signal_does_not_wait_for_jobs(session: Session) -> None:
    with session.running("--grace", "60") as dev:
        session.until_state("scheduler", "ready")
        session.send("block")
        session.until_noted("blocked")
        dev.send_signal(signal.SIGINT)
        session.until_state("worker", "stopping")
        dev.send_signal(signal.SIGINT)
        assert dev.wait(PATIENCE_S) == 0
        session.until_nothing_runs()
    assert "went" not in session.notes()


def test_what_does_not_end_within_its_grace_is_killed_and_that_is_said(session: Session) -> None:
    with session.running("--grace", "0.5", "--no-scheduler") as dev:
        session.until_state("worker", "ready")
        session.send("block")
        session.until_noted("blocked")
        dev.send_signal(signal.SIGTERM)
        assert dev.wait(PATIENCE_S) == 0
        session.until_nothing_runs()
    assert session.records("state")[-1]["why"] == "still there 0.5 s after SIGTERM, and killed"


@pytest.mark.parametrize("moment", ["starting", "ready"])
def test_when_it_is_killed_itself_nothing_is_left(session: Session, moment: str) -> None:
    with session.running("--grace", "2") as dev:
        session.until_state("worker", moment)
        if moment == "ready":
            session.until_state("scheduler", "ready")
            session.send("block")
            session.until_noted("blocked")
            # Itself, two keepers, Dramatiq's two, and the scheduler.
            assert len(session.processes()) == 6
        dev.kill()
        dev.wait()
        session.until_nothing_runs()


def test_when_its_terminal_is_closed_nothing_is_left(session: Session) -> None:
    with in_terminal(session) as terminal:
        until(lambda: "scheduler  ready" in terminal.text(), seconds=PATIENCE_S, what="the scheduler")
        terminal.close()
        assert terminal.process.wait(PATIENCE_S) == 0
        session.until_nothing_runs()


def test_when_a_keeper_is_killed_what_it_kept_is_too(session: Session) -> None:
    with session.running("--no-scheduler") as dev:
        session.until_state("worker", "ready")
        before = set(session.processes())
        [keeper] = [pid for pid in before if b"keeper.py" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        os.kill(keeper, signal.SIGKILL)
        until(lambda: session.states("worker").count("ready") == 2, seconds=PATIENCE_S, what="another worker")
        assert before & set(session.processes()) == {dev.pid}
