"""What each worker process of an instance tells of itself once a second, in a file of its own."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from actors.health.process import is_there

FOLDER = "workers"


@dataclass(frozen=True, slots=True)
class Consuming:
    """What is known of the thread that takes messages from one queue.

    Attributes:
        queue: what actors call it.
        problem: why it takes no messages just now; empty if it does.
        turned_at_s: when it last came round, in seconds as ``time.monotonic`` counts them for all processes of a
            machine; None where that says nothing.
    """

    queue: str
    problem: str
    turned_at_s: float | None


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What one worker process tells of itself.

    Attributes:
        pid: its number.
        started: when it was started, as this machine counts it; another process may have the number later.
        at_s: when it told this, in seconds as ``time.monotonic`` counts them for all processes of a machine.
        processes: how many its command has.
        actors: how many actors it knows.
        consumers: of each queue.
        lost: the names of its threads that have ended, and should not have.
        store: why the store can't be used; empty if it can, or nothing needs it.
        draining: it begins nothing more.
    """

    pid: int
    started: str
    at_s: float
    processes: int
    actors: int
    consumers: tuple[Consuming, ...]
    lost: tuple[str, ...] = ()
    store: str = ""
    draining: bool = False


class Heartbeats:
    """Those of all processes of an instance.

    Args:
        place: the directory of the instance.

    Raises:
        OSError: nothing can be written there.
    """

    def __init__(self, place: Path) -> None:
        self._folder = place / FOLDER
        self._folder.mkdir(mode=0o700, exist_ok=True)

    def keep(self, beat: Heartbeat) -> None:
        """Put *beat* in the place of the last one of its process.

        Raises:
            OSError: it can't be written.
        """
        path = self._path(beat.pid)
        # Somebody may have tidied up.
        self._folder.mkdir(mode=0o700, exist_ok=True)
        # A name that no reader looks for, until it is whole.
        unfinished = path.with_suffix(".new")
        unfinished.write_text(json.dumps(asdict(beat)), encoding="utf-8")
        unfinished.replace(path)

    def drop(self, pid: int) -> None:
        """Forget the process *pid*, which ends."""
        with suppress(OSError):
            self._path(pid).unlink()

    def living(self) -> list[Heartbeat]:
        """Return the last one of each process that is there, and forget the others.

        Raises:
            OSError: they can't be read.
        """
        found = []
        for path in sorted(self._folder.iterdir()):
            beat = _read(path)
            if beat is not None and is_there(beat.pid, beat.started):
                found.append(beat)
            elif not _is_of_a_process(path):
                with suppress(OSError):
                    path.unlink()
        return found

    def _path(self, pid: int) -> Path:
        return self._folder / f"{pid}.json"


def _read(path: Path) -> Heartbeat | None:
    """Return what *path* says, or None if it is no heartbeat of this version, or has just gone."""
    if path.suffix != ".json":
        return None
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        fields["consumers"] = tuple(Consuming(**each) for each in fields["consumers"])
        fields["lost"] = tuple(fields["lost"])
        return Heartbeat(**fields)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _is_of_a_process(path: Path) -> bool:
    """Return whether the process after which *path* is named may be there, and writes it just now."""
    try:
        os.kill(int(path.stem), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        pass
    return True
