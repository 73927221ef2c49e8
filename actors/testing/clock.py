"""The clock by which delayed messages become due in a test."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class Clock:
    """Decides when delayed messages are due; it starts at the real time, and stands still until it is moved.

    It moves due times only. ``time.time()`` and ``datetime.now()`` go on, and so does all that reads them, such as
    ``max_age`` and time limits; time-machine or freezegun move those. An ``eta`` keeps its distance from the real
    time of its send: an hour from then is due when this clock has moved by an hour.
    """

    def __init__(self) -> None:
        self._now = datetime.now(UTC)

    def now(self) -> datetime:
        """Return the clock's time, in UTC."""
        return self._now

    def advance(self, by: timedelta) -> None:
        """Move the clock on; messages that become due run at the next :func:`~actors.testing.drain`."""
        self._now += by

    def travel_to(self, when: datetime) -> None:
        """Set the clock to *when*.

        Raises:
            ValueError: *when* has no time zone.
        """
        if when.utcoffset() is None:
            raise ValueError(f"{when.isoformat()} has no time zone; use .replace(tzinfo=UTC) or a ZoneInfo")
        self._now = when.astimezone(UTC)
