"""Debian's and Ubuntu's packages, for a machine of our own, such as a CI runner's."""

import fcntl
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.errors import ServiceError

# invoke-rc.d(8) asks this script before it starts a service; 101 forbids it.
POLICY = Path("/usr/sbin/policy-rc.d")
FORBID = "#!/bin/sh\nexit 101\n"

LOCK = Path("/run/actors-services-apt.lock")


def install(package: str) -> None:
    """Install *package* without starting its system service; for root only, takes about 11 s.

    Processes that ask at the same time wait for each other.

    Raises:
        ServiceError: apt-get failed; with the last of what it wrote.
    """
    with _alone(), no_service_starts(POLICY):
        _apt_get("update", "-q")
        _apt_get("install", "-y", "-q", "--no-install-recommends", package)


@contextmanager
def no_service_starts(policy: Path) -> Iterator[None]:
    """Forbid the start of services by a script at *policy*, unless the machine has one of its own, which stays."""
    try:
        descriptor = os.open(policy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o755)
    except FileExistsError:
        yield
        return
    with os.fdopen(descriptor, "w") as script:
        script.write(FORBID)
    try:
        yield
    finally:
        policy.unlink()


@contextmanager
def _alone() -> Iterator[None]:
    # The lock ends with the process, so a killed one leaves nothing behind.
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _apt_get(*arguments: str) -> None:
    command = ["apt-get", *arguments]
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise ServiceError(f"{' '.join(command)}: exit status {done.returncode}\n{done.stdout[-2000:]}")
