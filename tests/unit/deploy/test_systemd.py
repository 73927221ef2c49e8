"""deploy/systemd: what the units promise, and that all they name is there."""

import importlib.util
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dramatiq.cli import make_argument_parser

from actors.configuration import PREFIX, Settings
from actors.health.address import split

FOLDER = Path(__file__).parents[3] / "deploy" / "systemd"
UNITS = {path.stem: path.read_text() for path in sorted(FOLDER.glob("*.service"))}
NOTIFY = ("actors-worker", "actors-scheduler")


def of(unit: str, name: str) -> list[str]:
    """All values that *name* has in *unit*; it may be there several times, which is why this is no configparser."""
    return [line.partition("=")[2] for line in UNITS[unit].splitlines() if line.startswith(f"{name}=")]


def environment(unit: str) -> dict[str, str]:
    file = (FOLDER / "actors.env").read_text().splitlines()
    given = [line for line in file if not line.startswith("#")] + of(unit, "Environment")
    return dict(line.split("=", 1) for line in given)


def test_p25_it_has_one_unit_a_role() -> None:
    assert set(UNITS) == {"actors-worker", "actors-scheduler", "actors-exporter"}
    assert len({str(of(unit, "ExecStart")) for unit in UNITS}) == len(UNITS)


@pytest.mark.parametrize("unit", UNITS)
def test_every_setting_is_known_and_the_command_is_there(unit: str) -> None:
    given = {name.removeprefix(PREFIX).lower() for name in environment(unit)}
    assert given <= set(Settings.model_fields)
    assert {"health_address", "modules", "broker_url", "store_url"} <= given
    assert of(unit, "EnvironmentFile") == ["/etc/shop/actors.env"]

    [command] = of(unit, "ExecStart")
    executable, *arguments = shlex.split(command)
    assert shutil.which(Path(executable).name, path=Path(sys.executable).parent)
    if arguments[0] == "-m":
        assert importlib.util.find_spec(arguments[1])


def test_no_two_answer_at_one_address() -> None:
    addresses = [split(environment(unit)["ACTORS_HEALTH_ADDRESS"]) for unit in UNITS]

    assert len(set(addresses)) == len(UNITS)
    assert {host for host, _ in addresses} == {"127.0.0.1"}


@pytest.mark.parametrize("unit", NOTIFY)
def test_what_tells_how_it_is_has_a_watchdog_and_a_directory_in_memory(unit: str) -> None:
    assert of(unit, "Type") == ["notify"]
    assert float(of(unit, "WatchdogSec")[0]) >= Settings.model_fields["stuck_after_s"].default
    assert environment(unit)["ACTORS_RUNTIME_DIR"] == f"%t/{of(unit, 'RuntimeDirectory')[0]}"


def test_a_worker_says_it_from_a_process_of_its_command() -> None:
    assert of("actors-worker", "NotifyAccess") == ["all"]


def test_a_worker_has_more_grace_than_its_jobs_and_is_signalled_once() -> None:
    _, *arguments = shlex.split(of("actors-worker", "ExecStart")[0])
    parsed = make_argument_parser().parse_args(arguments)

    assert parsed.worker_shutdown_timeout / 1000 + 6 <= float(of("actors-worker", "TimeoutStopSec")[0])
    assert all(of(unit, "KillMode") == ["mixed"] for unit in UNITS)


@pytest.mark.parametrize("unit", UNITS)
def test_each_is_started_again_whatever_its_end_and_has_no_rights(unit: str) -> None:
    assert (of(unit, "Restart"), of(unit, "StartLimitIntervalSec")) == (["always"], ["0"])
    assert (of(unit, "NoNewPrivileges"), of(unit, "ProtectSystem")) == (["yes"], ["strict"])
    assert of(unit, "CapabilityBoundingSet") == [""]
    assert of(unit, "User") == ["shop"]


def test_each_has_three_sections_and_systemd_reads_it_where_it_is_at_hand(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    for unit, text in UNITS.items():
        assert [line for line in text.splitlines() if line.startswith("[")] == ["[Unit]", "[Service]", "[Install]"]
        (tmp_path / f"{unit}.service").write_text(
            text.replace("/opt/shop/venv/bin/", f"{Path(sys.executable).parent}/")
        )
    if analyze is not None:
        files = [str(tmp_path / f"{unit}.service") for unit in UNITS]
        read = subprocess.run([analyze, "verify", *files], capture_output=True, text=True)
        assert read.returncode == 0, read.stderr
        assert "Unknown" not in read.stderr
