"""Environments of systems that this project does not depend on, made for one run."""

import subprocess
import sys
from pathlib import Path

INSTALL_S = 180


def install(requirement: str, folder: Path) -> Path:
    """Install *requirement* in *folder*, apart from all else, and return its Python.

    Raises:
        RuntimeError: it can't be installed; the text is the last line that says why.
    """
    python = folder / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement]
    for command in ([sys.executable, "-m", "venv", str(folder)], pip):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S, check=False)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"not installed within {INSTALL_S} s") from None
        if done.returncode:
            reasons = (done.stderr or done.stdout).strip().splitlines() or [f"exit status {done.returncode}"]
            raise RuntimeError(reasons[-1])
    return python
