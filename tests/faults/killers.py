"""Actors that kill the worker they run in, and their neighbours, which do not."""

import ctypes
import os
import resource
import signal
import time

from actors import actor
from tests.faults.toll import note

# How much memory a hoarder takes before it is killed, and how much at a time, in bytes.
HOARD, HANDFUL = 64 * 2**20, 4 * 2**20


@actor(actor_name="killer_keyed", max_retries=0, idempotency_key="{key}")
def keyed(key: str, way: str = "", pause_ms: int = 0) -> None:
    """Take *pause_ms* milliseconds for *key*, then die in that *way*; without one, end."""
    _live(key, way, pause_ms)


@actor(actor_name="killer_by_id", max_retries=0)
def by_id(key: str, way: str = "", pause_ms: int = 0) -> None:
    """Do what ``keyed`` does; copies of a message are one."""
    _live(key, way, pause_ms)


@actor(actor_name="killer_unguarded", max_retries=0, idempotent=False)
def unguarded(key: str, way: str = "", pause_ms: int = 0) -> None:
    """Do what ``keyed`` does, with no record of it."""
    _live(key, way, pause_ms)


ACTORS = (keyed, by_id, unguarded)


def leave() -> None:
    """End the process without a word, as some libraries do."""
    os._exit(1)


def be_killed() -> None:
    """Die of SIGKILL."""
    os.kill(os.getpid(), signal.SIGKILL)


def fault() -> None:
    """Read where there is no memory, as broken native code does; the kernel sends SIGSEGV."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.string_at(0)


def hoard() -> None:
    """Take more memory than there is to have.

    It does what the kernel's killer does to such a process, but by itself: real memory is taken, and written to, until
    it is too much; then SIGKILL. A test can't let a whole machine run out of memory.
    """
    taken = list[bytearray]()
    while len(taken) * HANDFUL < HOARD:
        taken.append(bytearray(os.urandom(1) * HANDFUL))
    be_killed()


WAYS = {"exit": leave, "sigkill": be_killed, "segfault": fault, "out-of-memory": hoard}


def _live(key: str, way: str, pause_ms: int) -> None:
    note("begin", key)
    time.sleep(pause_ms / 1000)
    if way:
        WAYS[way]()
    note("end", key)
