import stat
from pathlib import Path

from services.apt import no_service_starts


def test_services_are_forbidden_to_start_only_while_apt_runs(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    with no_service_starts(policy):
        assert policy.read_text() == "#!/bin/sh\nexit 101\n"
        assert policy.stat().st_mode & stat.S_IXUSR
    assert not policy.exists()


def test_the_machines_own_policy_stays(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("the machine's own")
    with no_service_starts(policy):
        assert policy.read_text() == "the machine's own"
    assert policy.read_text() == "the machine's own"
