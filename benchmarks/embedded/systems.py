"""The systems that are compared: how their workers are run.

Workers of every system import this, also in environments with nothing of ours.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

HUEY = "3.5.4"
THREADS = "8"

APPS = "benchmarks.embedded.apps"


@dataclass(frozen=True)
class System:
    """A system under a name.

    Attributes:
        name: what it is called in tables.
        app: its module in ``benchmarks.embedded.apps``.
        python: what runs its sender.
        worker: the command of its workers.
        options: which of :func:`is_on` are.
        syncs_each: it waits for the disk once a job or more often, so that some hundred jobs take seconds.
        has_many: many jobs can be enqueued at once.
        settings: what more its processes find in their environment.
    """

    name: str
    app: str
    python: Path
    worker: tuple[str, ...]
    options: frozenset[str] = field(default_factory=frozenset)
    syncs_each: bool = False
    has_many: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)

    def env(self) -> Mapping[str, str]:
        return {"EMBEDDED_OPTIONS": " ".join(sorted(self.options)), **self.settings}


def is_on(option: str) -> bool:
    """Return whether the app that imports this is to be one with *option*."""
    return option in os.environ.get("EMBEDDED_OPTIONS", "").split()


def _dramatiq(*modules: str) -> tuple[str, ...]:
    return (str(Path(sys.executable).parent / "dramatiq"), *modules, "--processes", "1", "--threads", THREADS)


def _ours(name: str, *options: str) -> System:
    worker = _dramatiq("actors", f"{APPS}.ours")
    return System(name, "ours", Path(sys.executable), worker, frozenset(options), has_many=True)


OURS = _ours("ours")
UNGUARDED = _ours("ours, idempotent=False", "UNGUARDED")
REDIS = System("Dramatiq on Redis", "redis", Path(sys.executable), _dramatiq(f"{APPS}.redis"), syncs_each=True)


def huey_systems(python: Path) -> tuple[System, ...]:
    """Return huey as *python* has it: by default, and with a file that is never synced."""
    command = (str(python), "-m", "huey.bin.huey_consumer", f"{APPS}.huey.huey", "-k", "thread", "-w", THREADS)
    return (
        System("huey", "huey", python, command, syncs_each=True),
        System("huey, fsync=False", "huey", python, command, frozenset({"UNSYNCED"})),
    )
