"""`actors dev` starts worker and scheduler again when the code changes."""

from services.deadline import until
from tests.integration.dev.session import PATIENCE_S, TASKS, Session

NEW = TASKS.replace("old", "new")


def test_code_that_changes_runs_from_then_on(session: Session) -> None:
    with session.running():
        session.until_state("scheduler", "ready")
        session.write(NEW)
        until(lambda: session.states("scheduler").count("ready") == 2, seconds=PATIENCE_S, what="the reload")
        session.send("greet", "Ann")
        session.until_noted("new Ann")
        once = ["starting", "ready", "stopping", "ended"]
        assert session.states("worker") == session.states("scheduler") == [*once, "starting", "ready"]
        assert [each["paths"] for each in session.records("changed")] == [["shop_tasks.py"]]
        # Both have ended before either is started.
        states = [(each["process"], each["state"]) for each in session.records("state")]
        again = [number for number, (_, state) in enumerate(states) if state == "starting"][2:]
        assert max(number for number, (_, state) in enumerate(states) if state == "ended") < min(again)


def test_many_changes_in_quick_succession_are_one_reload(session: Session) -> None:
    with session.running("--no-scheduler"):
        session.until_state("worker", "ready")
        for number in range(20):
            session.write("VALUE = 1\n", f"module_{number}")
        session.write(NEW)
        until(lambda: session.states("worker").count("ready") == 2, seconds=PATIENCE_S, what="the reload")
        [changed] = session.records("changed")
        assert changed["files"] == 21


def test_a_broken_module_is_waited_for_until_it_is_mended(session: Session) -> None:
    with session.running():
        session.until_state("scheduler", "ready")
        session.write("1 / 0\n")
        session.until_state("worker", "broken")
        until(
            lambda: "ZeroDivisionError: division by zero" in session.texts(), seconds=PATIENCE_S, what="the traceback"
        )
        assert session.state("scheduler") == "ended"
        session.write(NEW)
        until(lambda: session.states("scheduler").count("ready") == 2, seconds=PATIENCE_S, what="the scheduler")
        session.send("greet", "Ann")
        session.until_noted("new Ann")


def test_what_is_no_code_of_the_application_changes_nothing(session: Session) -> None:
    folders = [session.folder / name for name in (".venv", ".git", "__pycache__")]
    for folder in folders:
        folder.mkdir()
    with session.running("--no-scheduler"):
        session.until_state("worker", "ready")
        for folder in folders:
            (folder / "module.py").write_text("VALUE = 1\n")
        (session.folder / "notes.txt").write_text("no code")
        session.send("greet", "Ann")  # writes the database
        session.until_noted("old Ann")
        session.write("VALUE = 1\n", "another")
        until(lambda: session.records("changed"), seconds=PATIENCE_S, what="the change of code")
        assert session.records("changed")[0]["paths"] == ["another.py"]
        assert len(session.records("changed")) == 1


def test_with_no_reload_nothing_is_noticed(session: Session) -> None:
    with session.running("--no-reload", "--no-scheduler"):
        session.until_state("worker", "ready")
        session.write(NEW)
        session.send("greet", "Ann")
        session.until_noted("old Ann")
        assert session.states("worker") == ["starting", "ready"]


def test_other_folders_are_watched_in_place_of_the_current_one(session: Session) -> None:
    library = session.folder / "library"
    library.mkdir()
    with session.running("--no-scheduler", "--watch", "library"):
        session.until_state("worker", "ready")
        session.write(NEW)
        (library / "prices.py").write_text("VALUE = 1\n")
        until(lambda: session.records("changed"), seconds=PATIENCE_S, what="the change")
        assert session.records("changed")[0]["paths"] == ["library/prices.py"]
