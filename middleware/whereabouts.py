"""Where a thread or a coroutine is at the moment, as in a traceback."""

from __future__ import annotations

import inspect
import sys
import traceback
from collections.abc import Callable, Coroutine, Iterator
from types import FrameType
from typing import Any

# How many frames, the innermost ones.
FRAMES = 30

Frames = list[tuple[FrameType, int]]


def of_thread(thread_id: int, *, within: str) -> str:
    """Return where a thread is, from what the file *within* calls on; empty where it has ended."""
    return _text(_frames_of_thread(thread_id, lambda frame: frame.f_code.co_filename == within))


def of_coroutine(coroutine: Coroutine[Any, Any, Any], loop_thread_id: int) -> str:
    """Return where a coroutine waits, or runs in the thread of its loop; empty where it has ended, or not begun."""
    match inspect.getcoroutinestate(coroutine):
        case inspect.CORO_RUNNING:
            outer, *_ = _awaited(coroutine)
            return _text([outer, *_frames_of_thread(loop_thread_id, lambda frame: frame is outer[0])])
        case inspect.CORO_SUSPENDED:
            return _text(list(_awaited(coroutine)))
    return ""


def _frames_of_thread(thread_id: int, is_outer: Callable[[FrameType], bool]) -> Frames:
    frames: Frames = []
    frame = sys._current_frames().get(thread_id)
    while frame is not None and not is_outer(frame):
        frames.append((frame, frame.f_lineno))
        frame = frame.f_back
    return frames[::-1]


def _awaited(coroutine: object) -> Iterator[tuple[FrameType, int]]:
    """Yield the frames of a coroutine and of those that it awaits, as far as they are ones."""
    while inspect.iscoroutine(coroutine):
        frame = coroutine.cr_frame
        if frame is not None:
            yield frame, frame.f_lineno
        coroutine = coroutine.cr_await


def _text(frames: Frames) -> str:
    return "".join(traceback.StackSummary.extract(iter(frames[-FRAMES:])).format())
