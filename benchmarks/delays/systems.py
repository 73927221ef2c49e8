"""The systems that are compared: how their workers are run."""

import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.environments import install

CELERY = "5.7.0"
THREADS = "8"


@dataclass(frozen=True)
class System:
    """A system under a name.

    Attributes:
        name: what it is called in tables.
        app: its module in ``benchmarks.delays.apps``.
        python: what runs its sender.
        worker: the command of its workers.
    """

    name: str
    app: str
    python: Path
    worker: tuple[str, ...]


def _dramatiq(name: str, app: str, *modules: str) -> System:
    python = Path(sys.executable)
    command = (str(python.parent / "dramatiq"), *modules, "--processes", "1", "--threads", THREADS)
    return System(name, app, python, command)


PLAIN = _dramatiq("plain", "plain", "benchmarks.delays.apps.plain")
OURS = _dramatiq("ours", "ours", "actors", "benchmarks.delays.apps.ours")


def celery_systems(python: Path) -> tuple[System, ...]:
    """Return Celery as *python* has it: with its default pool, and with threads."""
    command = (str(python), "-m", "celery", "-A", "benchmarks.delays.apps.celery", "worker")
    return (
        System("Celery", "celery", python, command),
        System("Celery, threads", "celery", python, (*command, "--pool", "threads", "--concurrency", THREADS)),
    )


def install_celery(folder: Path) -> Path:
    """Install Celery in *folder*, apart from all else, and return its Python.

    Raises:
        RuntimeError: it can't be installed; the text is the last line that says why.
    """
    return install(f"celery=={CELERY}", folder)
