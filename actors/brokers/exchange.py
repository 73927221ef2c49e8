"""Stands between RabbitMQ and the workers: asks for the keys of what has arrived, and records what has ended."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable

from actors.brokers.delivery import Delivery
from actors.brokers.dispatch import Dispatch
from middleware import Guard
from middleware.stores import Outcome, StoreUnavailable

log = logging.getLogger(__name__)

# How long the store is left alone after it did not answer, in seconds.
PROBE_EVERY_S = 0.5
# How long a worker that stops waits for a store that does not answer, in seconds.
LAST_WAIT_S = 5.0


class Exchange:
    """Calls the store for all messages of a consumer at once, on the consumer's own thread.

    While the store does not answer, nothing that needs it goes on: what has arrived waits here, unacked.

    Args:
        broker: the broker, whose actors' options count, and which tells what has ended before it is recorded.
        guard: asks the store; None where no idempotency middleware is in use.
        conclude: called with each delivery whose outcome is recorded, and with whether it counts.
        call_later: called with seconds and a callback, to be called back after them.
    """

    def __init__(
        self,
        broker: Dispatch,
        guard: Guard | None,
        *,
        conclude: Callable[[Delivery, bool], None],
        call_later: Callable[[float, Callable[[], None]], None],
    ) -> None:
        self.ready: deque[Delivery] = deque()
        self._broker = broker
        self._guard = guard
        self._conclude = conclude
        self._call_later = call_later
        self._arrived: deque[Delivery] = deque()
        self._ended: deque[tuple[Delivery, Outcome]] = deque()
        self._overdue: list[Outcome] = []
        self._paused_until = 0.0
        self._is_failing = False

    def arrive(self, delivery: Delivery) -> None:
        """Take what RabbitMQ has delivered; it is in :attr:`ready` once it may start."""
        if self._guard is not None and self._guard.admits(self._broker, delivery):
            self._arrived.append(delivery)
        else:
            self.ready.append(delivery)

    def end(self, delivery: Delivery) -> bool:
        """Return whether *delivery* has an outcome, which is then recorded before it is concluded; from any thread."""
        guarded = delivery.guarded
        if guarded is None or guarded.outcome is None:
            return False
        outcome, guarded.outcome = guarded.outcome, None
        self._ended.append((delivery, outcome))
        return True

    def leave(self, delivery: Delivery) -> bool:
        """Give up the claim of what has not started; return whether *delivery* is concluded once that is recorded.

        It then goes back to its queue, if its channel still is.
        """
        if self._guard is None or delivery.guarded is None:
            return False
        outcome = self._guard.leave(delivery.guarded)
        if outcome is None:
            return False
        delivery.requeue = True
        self._ended.append((delivery, outcome))
        return True

    def forget(self) -> None:
        """Drop what has arrived, or is ready, and has not been taken yet."""
        self._arrived.clear()
        self.ready.clear()

    def turn(self) -> None:
        """Record what has ended, and make ready what may start, unless the store was silent a moment ago."""
        if (self._arrived or self._ended or self._overdue) and time.monotonic() >= self._paused_until:
            self._turn()

    def finish(self) -> None:
        """Record what has ended; give up after a while, since the process stops."""
        deadline = time.monotonic() + LAST_WAIT_S
        while self._ended:
            self._turn(stopping=True)
            if self._ended:
                if time.monotonic() > deadline:
                    self._give_up("the worker stops", everything=True)
                    return
                time.sleep(PROBE_EVERY_S)

    def _turn(self, *, stopping: bool = False) -> None:
        assert self._guard is not None  # noqa: S101
        ended = [self._ended.popleft() for _ in range(len(self._ended))]
        self._broker.tell_attempts()
        arrived: list[Delivery] = []
        if not stopping:
            arrived.extend(self._arrived)
            self._arrived.clear()
        outcomes = [outcome for _, outcome in ended]
        guarded = [each.guarded for each in arrived if each.guarded is not None]
        try:
            counted = self._guard.exchange([*outcomes, *self._overdue], guarded)
        except StoreUnavailable as error:
            self._ended.extendleft(reversed(ended))
            self._arrived.extend(arrived)
            self._pause(error)
            return
        except Exception:
            log.exception("unexpected error of the store; going on one by one, lest one message stop all others")
            self._overdue.clear()  # it may be one of them
            self.ready.extend(arrived)  # a message without an answer asks for it when it starts
            self._record_each(ended)
            return
        self._is_failing = False
        self._overdue.clear()
        self.ready.extend(arrived)
        for (delivery, _), is_counted in zip(ended, counted, strict=False):
            self._conclude(delivery, is_counted)

    def _record_each(self, ended: list[tuple[Delivery, Outcome]]) -> None:
        assert self._guard is not None  # noqa: S101
        for delivery, outcome in ended:
            try:
                counted = self._guard.exchange([outcome], [])
            except StoreUnavailable:
                self._ended.append((delivery, outcome))
            except Exception as error:
                self._guard.unrecorded(outcome, str(error))
                self._conclude(delivery, True)
            else:
                self._conclude(delivery, counted[0])

    def _pause(self, error: StoreUnavailable) -> None:
        assert self._guard is not None  # noqa: S101
        if not self._is_failing:
            self._is_failing = True
            log.warning("messages wait: %s", error)
        for delivery in list(self._arrived):
            if delivery.guarded is not None and self._guard.runs_unprotected(delivery.guarded):
                self._arrived.remove(delivery)
                self.ready.append(delivery)
        self._give_up(str(error), everything=False)
        self._paused_until = time.monotonic() + PROBE_EVERY_S
        self._call_later(PROBE_EVERY_S, lambda: None)

    def _give_up(self, reason: str, *, everything: bool) -> None:
        """Conclude what could not be recorded in time: without its ack it would be certain to run again.

        It is recorded when the store is back, if nobody has taken the key over by then.
        """
        assert self._guard is not None  # noqa: S101
        now = time.monotonic()
        for delivery, outcome in [self._ended.popleft() for _ in range(len(self._ended))]:
            if not everything and delivery.guarded is not None and now < delivery.guarded.good_until:
                self._ended.append((delivery, outcome))
            else:
                self._guard.unrecorded(outcome, reason)
                self._overdue.append(outcome)
                self._conclude(delivery, True)
