import time
from collections.abc import Callable
from typing import TypeVar

from services.errors import NotReady

T = TypeVar("T")

PAUSE = 0.02


def until(condition: Callable[[], T], *, seconds: float, what: str) -> T:
    """The first truthy answer of *condition*, which is asked every 20 ms.

    Raises:
        NotReady: *condition* was still falsy after *seconds*.
    """
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise NotReady(f"{what}: not within {seconds:g} s")
        time.sleep(PAUSE)
    return answer
