"""Whose code raised an error."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path
from types import TracebackType

import actors
import middleware

_OURS = [str(Path(package.__file__ or "").parent) for package in (actors, middleware)]
_NOT_THE_USERS = (
    *(folder + os.sep for folder in (*_OURS, sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"))),
    "<frozen",
)


def users_frames(error: BaseException) -> list[TracebackType]:
    """Return the frames of *error* that ran code of the users' own: not ours, Python's, or an installed package's."""
    frames: list[TracebackType] = []
    frame = error.__traceback__
    while frame is not None:
        if not frame.tb_frame.f_code.co_filename.startswith(_NOT_THE_USERS):
            frames.append(frame)
        frame = frame.tb_next
    return frames


def where(error: BaseException | None) -> str:
    """Return the last line of the users' code that ran before *error*, such as ``tasks.py:12``; ``""`` for none."""
    frames = users_frames(error) if error is not None else []
    return f"{frames[-1].tb_frame.f_code.co_filename}:{frames[-1].tb_lineno}" if frames else ""
