"""``python -m periodic``, as deployments run it."""

import signal
import subprocess
from pathlib import Path

import pytest

import services
from services.deadline import until
from tests.integration.project import Project
from tests.warm import warm

TICKING = """
    from actors import actor
    from periodic import every

    @actor(periodic=every(seconds=0.1))
    def sync() -> None: ...
"""


def run(project: Project, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command, which ends by itself."""
    return project.python("-m", "periodic", *arguments, **{"ACTORS_MODULES": "", **env})


def wait_until_it_leads(log: Path) -> None:
    until(lambda: "leads from" in log.read_text(), seconds=20, what="a leader")


def test_a_module_that_fails_to_import_ends_it_with_its_traceback_and_status_2(project: Project) -> None:
    project.write("broken", "raise RuntimeError('not today')")
    ended = run(project, "broken")

    assert ended.returncode == 2
    assert "module 'broken' can't be imported: RuntimeError: not today" in ended.stderr
    assert "Traceback" in ended.stderr
    assert "broken.py" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [((), "no actors are declared; name"), (("json", "csv"), "no actors are declared by json, csv; name")],
    ids=["forgotten", "wrong"],
)
def test_without_actors_it_ends_with_status_2_and_says_what_to_do(
    project: Project, arguments: tuple[str, ...], problem: str
) -> None:
    ended = run(project, *arguments)

    assert ended.returncode == 2
    assert problem in ended.stderr
    assert "python -m periodic shop.tasks" in ended.stderr


def test_a_setting_that_is_malformed_ends_it_with_status_2(project: Project) -> None:
    ended = run(project, "shop_tasks", ACTORS_GENERATION="newest")

    assert ended.returncode == 2
    assert "ACTORS_GENERATION" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("arguments", [("ticking",), ("run", "ticking"), ("-m", "ticking")])
def test_it_leads_until_sigterm_and_ends_with_status_0(project: Project, arguments: tuple[str, ...]) -> None:
    project.write("ticking", TICKING)
    with project.process("-m", "periodic", *arguments) as log:
        wait_until_it_leads(log)


def test_the_modules_of_the_settings_are_enough_also_if_all_schedules_are_to_be_added_at_run_time(
    project: Project,
) -> None:
    with project.process("-m", "periodic", ACTORS_MODULES="shop_tasks") as log:
        wait_until_it_leads(log)
    assert "no actor of shop_tasks has periodic=; only schedules that were added at run time" in log.read_text()


def test_sigint_ends_it_as_sigterm_does(project: Project) -> None:
    project.write("ticking", TICKING)
    log = project.folder / "sigint.log"
    process = warm().start("-m", "periodic", "ticking", env=project.env, log=log, cwd=project.folder)
    wait_until_it_leads(log)
    process.send_signal(signal.SIGINT)

    assert process.wait(10) == 0
    assert "Traceback" not in log.read_text()


def test_it_waits_for_a_rabbitmq_that_is_not_there_and_goes_when_it_is_told(project: Project) -> None:
    project.write("ticking", TICKING)
    with project.process("-m", "periodic", "ticking", ACTORS_BROKER_URL="amqp://127.0.0.1:1/") as log:
        until(lambda: "connecting" in log.read_text(), seconds=20, what="a word of it")
    assert "Traceback" not in log.read_text()
    assert log.read_text().count("connecting: ") == 1


def test_p12_it_goes_at_once_though_rabbitmq_blocks_all_publishers(
    project: Project, private_rabbitmq: services.RabbitMQ
) -> None:
    project.write("ticking", TICKING)
    with project.process("-m", "periodic", "ticking", ACTORS_BROKER_URL=private_rabbitmq.url) as log:
        wait_until_it_leads(log)
        private_rabbitmq.ctl("set_vm_memory_high_watermark", "0.00001")
        # Its publication waits for a confirm that does not come.
        until(lambda: "blocked" in private_rabbitmq.ctl("list_connections", "state"), seconds=20, what="an alarm")
    private_rabbitmq.ctl("set_vm_memory_high_watermark", "0.4")


def test_p12_it_goes_at_once_though_rabbitmq_is_frozen(project: Project, private_rabbitmq: services.RabbitMQ) -> None:
    project.write("ticking", TICKING)
    with project.process("-m", "periodic", "ticking", ACTORS_BROKER_URL=private_rabbitmq.url) as log:
        wait_until_it_leads(log)
        private_rabbitmq.freeze()


def test_p13_a_tick_runs_in_a_worker_with_its_schedule_and_its_time(project: Project) -> None:
    project.write(
        "told",
        """
        from pathlib import Path

        from actors import actor, current
        from periodic import every

        @actor(periodic=every(seconds=0.5, name="twice a second", args=[7]), idempotency_key="{number}")
        def tell(number: int) -> None:
            message = current().message
            with Path("ran").open("a") as ran:
                ran.write(f"{number}|{message.options['tick']['schedule']}|{message.options['tick']['time']}|")
                ran.write(f"{message.message_id}|{message.options['idempotency_key']}\\n")
        """,
    )
    env = {"ACTORS_MODULES": "told"}
    with project.process("-m", "periodic", **env) as log, project.process("-m", "dramatiq", "actors", "-p", "1", **env):
        wait_until_it_leads(log)
        # The actor's own key is the same for all of them.
        until(lambda: len(ran(project)) >= 3, seconds=20, what="three runs")

    lines = [line.split("|") for line in ran(project)]
    assert {(number, name) for number, name, *_ in lines} == {("7", "twice a second")}
    assert len({time for _, _, time, *_ in lines}) == len(lines)
    assert all(time.endswith("+00:00") and message_id == key for _, _, time, message_id, key in lines)


def ran(project: Project) -> list[str]:
    file = project.folder / "ran"
    return file.read_text().splitlines() if file.exists() else []
