"""The parent of a worker or a scheduler: it ends with whoever started it, and nothing that it started outlives it.

Its standard input is a pipe that nobody writes to. When the pipe closes, because the process is to end or because
whoever holds the other end has died (SIGKILL included), the command gets SIGTERM, and a grace later all of its process
group SIGKILL. When the command ends by itself, what it has left behind is killed, too.

It is run as a script, from this very file, and so imports nothing of ours:
``python keeper.py GRACE_SECONDS COMMAND …``, as the leader of a process group.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time

# See actors.dev.telling.
MARK = "\x1e"


def main(grace_s: float, command: list[str]) -> None:
    """Run *command* until it ends, or standard input does."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603
    threading.Thread(target=_wait, args=(process,), daemon=True).start()
    while os.read(0, 1):
        pass
    process.terminate()
    time.sleep(grace_s)
    _end(f"still there {grace_s:g} s after SIGTERM, and killed", -signal.SIGKILL)


def _wait(process: subprocess.Popen[bytes]) -> None:
    _end("", process.wait())


def _end(why: str, status: int) -> None:
    line = json.dumps({"event": "exit", "status": status, "why": why})
    os.write(1, f"{MARK}{line}\n".encode())
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2:])
