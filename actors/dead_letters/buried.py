"""A dead letter as whoever keeps it gives it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from middleware import Letter


class Buried(Protocol):
    """A dead letter, whole, whichever engine keeps it."""

    @property
    def queue(self) -> str:
        """The logical queue."""

    @property
    def found_in(self) -> str:
        """The physical queue; in a file, the logical one."""

    @property
    def letter(self) -> Letter:
        """What is said of the end of its message."""

    @property
    def body(self) -> bytes:
        """The message; of one that can't be decoded, byte for byte what was sent."""

    @property
    def expires(self) -> int | None:
        """When it is dropped, in milliseconds since the Unix epoch; None for never."""

    @property
    def found(self) -> Mapping[str, Any]:
        """What else is said of it where it is kept, for people."""
