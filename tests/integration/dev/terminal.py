"""A command in a terminal of its own, such as ``actors dev``."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.integration.dev.session import Session

ROWS, COLUMNS = 45, 110
CTRL_C = b"\x03"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A pseudo-terminal whose foreground process group is that of a command.

    Attributes:
        process: what runs in it.
    """

    def __init__(self, command: Sequence[str], *, folder: Path, env: Mapping[str, str]) -> None:
        ours, theirs = pty.openpty()
        self._ours = os.fdopen(ours, "r+b", buffering=0)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            # Where these are set they count for more than the terminal's own size.
            env={**env, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(ROWS)},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            # The first terminal that the leader of a session opens controls it.
            preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),
        )
        os.close(theirs)
        self._shown = b""
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def press(self, keys: bytes) -> None:
        self._ours.write(keys)

    def text(self) -> str:
        """All that was ever shown, without colours and movements."""
        return ESCAPES.sub("", self._shown.decode(errors="replace"))

    def close(self) -> None:
        """Hang up: whoever is left in it gets SIGHUP."""
        self._ours.close()

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reading.join()
        self._ours.close()

    def _read(self) -> None:
        # EIO: nobody has the terminal open any more; or it was closed here.
        with suppress(OSError, ValueError):
            while chunk := self._ours.read(65_536):
                self._shown += chunk


@contextmanager
def in_terminal(session: Session, *options: str) -> Iterator[Terminal]:
    """Run ``actors dev`` in a terminal for the block."""
    terminal = Terminal(session.command(*options), folder=session.folder, env=session.env)
    try:
        yield terminal
    finally:
        terminal.end()
        session.sweep()
