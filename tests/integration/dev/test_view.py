"""The live view of `actors dev` in a terminal."""

from services.deadline import until
from tests.integration.dev.session import PATIENCE_S, Session
from tests.integration.dev.terminal import CTRL_C, in_terminal


def test_it_shows_what_runs_and_what_has_run(session: Session) -> None:
    with in_terminal(session) as terminal:
        until(lambda: "scheduler  ready" in terminal.text(), seconds=PATIENCE_S, what="the scheduler")
        session.send("greet", "Ann")
        session.send("block")
        session.until_noted("blocked")
        until(lambda: "block" in running(terminal.text()), seconds=PATIENCE_S, what="the job that runs")
        until(lambda: "NEXT TICK" in terminal.text(), seconds=PATIENCE_S, what="the next tick")
        (session.folder / "go").touch()
        session.until_noted("went")
        until(lambda: "done" in rows(terminal.text(), "block"), seconds=PATIENCE_S, what="the job that has run")
        text = terminal.text()
        assert f"jobs are in {session.folder / 'actors.db'}" in text
        assert "worker    | hello Ann" in text
        assert {"default", "reports"} <= {line.split()[0] for line in text.splitlines() if line.split()}
        terminal.press(CTRL_C)
        assert terminal.process.wait(PATIENCE_S) == 0
        session.until_nothing_runs()


def running(text: str) -> str:
    """What runs, as the newest frame has it."""
    return text.rpartition("RUNNING")[2].split("FINISHED")[0]


def rows(text: str, actor: str) -> str:
    """All rows of *actor* in all frames."""
    return "\n".join(line for line in text.splitlines() if line.startswith(actor))
