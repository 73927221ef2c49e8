"""What one consumer has of its queue."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic

from actors.brokers.delivery import Delivery
from actors.brokers.sqlite import holders, queues
from actors.brokers.sqlite.queues import Queued
from actors.brokers.sqlite.settling import Settlement, settle
from actors.brokers.sqlite.tenure import Tenure
from actors.brokers.sqlite.turn import Taking, Turn, take
from actors.brokers.sqlite.workshop import Workshop
from middleware.letter import now_ms
from middleware.process import process_name
from middleware.stores.sqlite import FileRefused, FileUnavailable

log = logging.getLogger(__name__)

# How long a file that can't be used is left alone, in seconds.
PROBE_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class End:
    """The end of a delivery, to be written.

    Attributes:
        tenure: of which it was.
        settlement: what is written.
        then: called once it is.
        is_recorded: the idempotency store has the outcome, so that it is not lost if this is undone by a power cut.
    """

    tenure: object
    settlement: Settlement
    then: Callable[[], None] = lambda: None
    is_recorded: bool = False


class Share:
    """What one consumer has taken from its queue, and what of it has ended.

    What is held is kept by a tenure, and so is what a transaction has taken whose commit failed; that is given back.

    Args:
        shop: what all consumers have in common.
        queue: the logical queue.
        tell: called before what has ended is written.
        on_lost: called when all that was held is somebody else's now, before it is forgotten.

    Attributes:
        held: what was taken and has not ended, by id; None for what can't be decoded.
        tenure: the current one; None until something is taken.
        paused_until: the file could not be used, and is left alone until then, by the monotonic clock.
    """

    def __init__(self, shop: Workshop, queue: str, *, tell: Callable[[], None], on_lost: Callable[[], None]) -> None:
        self.held: dict[int, Delivery | None] = {}
        self.tenure: Tenure | None = None
        self.paused_until = 0.0
        self._shop = shop
        self._queue = queue
        self._tell = tell
        self._on_lost = on_lost
        self._ended: deque[End] = deque()
        self._is_in_doubt = False

    @property
    def has_ends(self) -> bool:
        """Whether there is something to write."""
        return bool(self._ended)

    def kept(self) -> Tenure | None:
        """Return the tenure to renew, if there is one; from any thread."""
        return self.tenure if self.held else None

    def end(self, end: End) -> None:
        """Note the end of a delivery; from any thread."""
        self._ended.append(end)

    def peek(self) -> int | None:
        """Return when there is something to take, in milliseconds since the Unix epoch, or None; keep nobody waiting.

        Raises:
            FileUnavailable, FileRefused: nobody knows.
        """
        with self._shop.file.read() as connection:
            return queues.next_moment(connection, self._queue, without=self._holder)

    def write(self, room: int) -> Taking:
        """Write what has ended, and take as much as there is *room* for, in one transaction.

        Raises:
            FileUnavailable, FileRefused: it is written later.
        """
        ended = self._take_ends()
        try:
            return self._write(ended, room)
        except (FileUnavailable, FileRefused):
            self._ended.extendleft(reversed(ended))
            raise
        except Exception:
            log.exception("queue %r: an unexpected error; going on one by one, lest one stop all others", self._queue)
            self._is_in_doubt = True
            for index, end in enumerate(ended):
                try:
                    self._write_alone(end)
                except (FileUnavailable, FileRefused):
                    self._ended.extendleft(reversed(ended[index:]))
                    raise
            return Taking(self._holder, moment=0)

    def leave(self) -> None:
        """Write what has ended, and give back all else.

        Raises:
            FileUnavailable, FileRefused: it did not come to that.
        """
        ended = [end for end in self._take_ends() if end.tenure is self.tenure]
        if self.tenure is None:
            return
        try:
            with self._shop.file.write() as connection:
                settled = settle(connection, self.tenure.holder, [end.settlement for end in ended])
                given_back = holders.leave(connection, self.tenure.holder)
        except (FileUnavailable, FileRefused):
            self._ended.extendleft(reversed(ended))
            raise
        self.tenure = None
        self._conclude(ended, settled)
        if given_back:
            self._shop.bell.ring([self._queue])

    def pause(self, error: FileUnavailable | FileRefused) -> None:
        """Leave the file alone for a moment, and say so if that is new."""
        self._is_in_doubt = True
        self.paused_until = monotonic() + PROBE_EVERY_S
        self._shop.outage.met(error)

    @property
    def _holder(self) -> int | None:
        return None if self.tenure is None else self.tenure.holder

    def _take_ends(self) -> list[End]:
        ended = [self._ended.popleft() for _ in range(len(self._ended))]
        self._tell()
        return ended

    def _write(self, ended: Sequence[End], room: int) -> Taking:
        current = [end for end in ended if end.tenure is self.tenure]
        if len(current) < len(ended):
            log.debug("queue %r: a message ended after its lease; it is delivered again", self._queue)
        now = now_ms()
        turn = Turn(
            queue=self._queue,
            holder=self._holder,
            settlements=[end.settlement for end in current],
            room=room,
            now=now,
            until=now + self._shop.lease_ms,
            worker=process_name(),
            known=self.held.keys() if self._is_in_doubt else None,
        )
        # Of what ended with a record the outcome is on the disk already, and what is only taken need not be there.
        synced = not all(end.is_recorded for end in current)
        with self._shop.file.write(synced=synced) as connection:
            taking = take(connection, turn)
        self._is_in_doubt = False
        self._hold(taking, turn.until)
        if taking.holder is not None:
            self._conclude(current, taking.settled)
        return taking

    def _write_alone(self, end: End) -> None:
        try:
            self._write([end], 0)
        except (FileUnavailable, FileRefused):
            raise
        except Exception:
            log.exception("queue %r: a message can't end as it is to; it runs again", self._queue)
            self._write([End(end.tenure, Settlement(end.settlement.id, requeue=True))], 0)

    def _hold(self, taking: Taking, until: int) -> None:
        if taking.holder == self._holder:
            if self.tenure is not None:
                self.tenure.until = until
            return
        if self.tenure is not None:
            log.warning("queue %r: %d messages were held too long, and are others' now", self._queue, len(self.held))
            self._on_lost()
            self.held.clear()
        self.tenure = None if taking.holder is None else Tenure(taking.holder, until)

    def _conclude(self, ended: Sequence[End], settled: Sequence[bool]) -> None:
        """Let follow what follows each of *ended* that counts."""
        rung: set[str] = set()
        for end, counts in zip(ended, settled, strict=True):
            self.held.pop(end.settlement.id, None)
            if not counts:
                log.debug("queue %r: a message ended after its lease; it is delivered again", self._queue)
                continue
            if end.settlement.requeue:
                rung.add(self._queue)
            rung.update(each.queue for each in end.settlement.followers if isinstance(each, Queued))
            end.then()
        if rung:
            self._shop.bell.ring(rung)
