"""What probes say of a scheduler on an SQLite file."""

import time

from periodic.health import ready
from periodic.status import Role, Status
from tests.unit.periodic.moments import MIDNIGHT


def checks(status: Status) -> dict[str, tuple[bool, str]]:
    return {check.name: (check.ok, check.reason) for check in ready(status, time.monotonic())}


def test_a_server_that_there_is_not_is_not_spoken_of() -> None:
    status = Status("one", file="/srv/actors.db")
    status.enter(Role.LEADING, MIDNIGHT)

    assert checks(status).keys() == {"loop", "role", "consumers"}
    assert all(ok for ok, _ in checks(status).values())
    assert "RabbitMQ" not in str(checks(status))


def test_a_file_that_can_not_be_used_is_said_with_the_reason() -> None:
    status = Status("one", file="/srv/actors.db")
    status.enter(Role.CONNECTING, MIDNIGHT, "FileUnavailable: its disk is full")

    assert checks(status)["role"] == (False, "/srv/actors.db can't be used: FileUnavailable: its disk is full")


def test_one_that_must_not_lead_is_not_ready_between_two_looks_either() -> None:
    status = Status("one", file="/srv/actors.db")
    for role in (Role.REFUSING, Role.CONNECTING, Role.STANDING_BY):
        status.enter(role, MIDNIGHT, "older than what has led")
        ok, reason = checks(status)["role"]
        assert not ok
        assert "older than what has led" in reason
