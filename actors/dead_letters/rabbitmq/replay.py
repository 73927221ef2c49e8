"""Sends dead letters again, and takes each from its queue once that is confirmed."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import replace

from actors.brokers.buried import Buried
from actors.brokers.dead_queues import DeadQueue, DeadQueues
from actors.brokers.publisher import Publisher
from actors.brokers.taking import Taking
from actors.dead_letters.objections import Examiner, Objection
from actors.dead_letters.rabbitmq.relapses import Relapses
from actors.dead_letters.rabbitmq.sending import Resent, Sending
from actors.dead_letters.rate import Rate
from actors.dead_letters.selection import Dead, Selection
from actors.dead_letters.terms import Replayed, Terms

# How many messages may be on their way, and how many of them are published together.
WINDOW = 1_000
BATCH = 50
# After so many seconds all that is in hand goes back, long before RabbitMQ finds that it was kept for too long.
ROUND_S = 300.0
# How often the new letters are counted, in seconds.
COUNT_EVERY_S = 1.0
# How often RabbitMQ hears from a replay that waits for its rate, in seconds.
HEARTBEAT_S = 5.0


class Replay:
    """One replay.

    A message is published and confirmed, then its letter is acked. If this process, or RabbitMQ, ends between the two,
    the letter is there for another replay, which sends the same message under the same number: of the two one runs.

    Args:
        publisher: publishes.
        queues: the queues of dead letters.
        selection: which letters are meant.
        examiner: says what speaks against one.
        terms: how it is done.
        timeout_s: how long RabbitMQ may take for each answer, in seconds.
    """

    def __init__(
        self,
        publisher: Publisher,
        queues: DeadQueues,
        selection: Selection,
        examiner: Examiner,
        terms: Terms,
        *,
        timeout_s: float,
    ) -> None:
        self._queues = queues
        self._selection = selection
        self._examiner = examiner
        self._terms = terms
        self._so_far = Replayed()
        self._kept: set[str] = set()
        self._publisher = publisher
        self._timeout_s = timeout_s
        self._relapses = Relapses(queues, started=time.time_ns() // 1_000_000, stop_after=terms.stop_after)
        self._rate = Rate(terms.rate)
        self._pumped_at = self._counted_at = time.monotonic()

    def run(self) -> Replayed:
        """Replay what is meant of all that is there now; return how far that came.

        Raises:
            ConnectionFailed: RabbitMQ did not answer in time. What was not confirmed may be in its queue all the same;
                its letter is still there, too.
            AccessRefused: the user has no right to a queue.
        """
        for queue in self._queues.existing():
            left = queue.count
            while left > 0 and not self._so_far.stopped:
                before = self._so_far.replayed
                has_all = self._round(replace(queue, count=left))
                left = 0 if has_all else left - (self._so_far.replayed - before)
        return self._so_far

    def _round(self, queue: DeadQueue) -> bool:
        """Go through *queue* until its end, or until what is in hand must go back; return whether that is its end."""
        arrived: deque[Buried] = deque()
        with self._queues.taking(queue, arrived.append) as taking:
            sending = Sending(self._publisher, taking.admin.wake, timeout_s=self._timeout_s)
            try:
                has_all, is_suspicious = self._go_through(taking, arrived, sending)
            finally:
                sending.close()
        if is_suspicious and not self._so_far.stopped:
            self._look_for_relapses()
        return has_all

    def _go_through(self, taking: Taking, arrived: deque[Buried], sending: Sending) -> tuple[bool, bool]:
        """Return whether it came to the end, and whether to look for relapses before going on."""
        ends_at = time.monotonic() + ROUND_S
        has_all = is_suspicious = False
        taking.more(WINDOW if self._terms.rate is None else min(WINDOW, int(self._terms.rate) + 10))
        while True:
            taking.check()
            self._conclude(sending)
            is_suspicious = is_suspicious or self._may_relapse(taking)
            if not self._so_far.stopped and not self._terms.go_on(self._so_far):
                self._stop("it was interrupted")
            is_over = is_suspicious or bool(self._so_far.stopped) or time.monotonic() > ends_at
            if not is_over:
                self._start(arrived, sending)
            if not sending.count and not arrived and not is_over:
                has_all = self._is_at_end(taking) and not arrived
            if not sending.count and (is_over or has_all):
                return has_all, is_suspicious
            self._wait(taking, is_sending=sending.count > 0, waits_for_rate=bool(arrived))

    def _start(self, arrived: deque[Buried], sending: Sending) -> None:
        """Publish what has arrived and is meant, as far as the window and the rate allow."""
        while arrived and sending.count < WINDOW and self._rate.allows():
            messages: list[Resent] = []
            while arrived and len(messages) < BATCH and self._rate.allows():
                buried = arrived.popleft()
                if self._selection.matches(buried.letter) and (resent := self._resent(buried)) is not None:
                    messages.append(resent)
                    self._rate.count()
            if messages:
                sending.start(messages)

    def _resent(self, buried: Buried) -> Resent | None:
        """Return what to publish for *buried*; None if it is kept."""
        found = self._examiner.examine(buried)
        if not isinstance(found, Objection):
            following = self._examiner.following(found)
            if not isinstance(following, Objection):
                return buried, following.publication
            found = following
        self._keep(buried, found)
        return None

    def _keep(self, buried: Buried, objection: Objection) -> None:
        # A letter that went back is met again.
        if buried.letter.id not in self._kept:
            self._kept.add(buried.letter.id)
            self._so_far = replace(self._so_far, kept=self._so_far.kept + 1)
            self._terms.kept(Dead.of(buried), objection)

    def _conclude(self, sending: Sending) -> None:
        """Count what is confirmed; stop where something is refused."""
        for buried, refusal in sending.conclude():
            if refusal is None:
                self._so_far = replace(self._so_far, replayed=self._so_far.replayed + 1)
                self._terms.done(Dead.of(buried))
            elif refusal.hopeless:
                self._keep(buried, Objection("undecodable", refusal.reason, yields=False))
            else:
                self._stop(f"message {buried.letter.message_id}: {refusal.reason}")

    def _stop(self, why: str) -> None:
        self._so_far = replace(self._so_far, stopped=self._so_far.stopped or why)

    def _may_relapse(self, taking: Taking) -> bool:
        """Return whether enough new letters have come to look whether they are relapses."""
        if not self._so_far.replayed or time.monotonic() - self._counted_at < COUNT_EVERY_S:
            return False
        self._counted_at = time.monotonic()
        return self._relapses.may_be_many(taking.unacked + self._so_far.replayed)

    def _look_for_relapses(self) -> None:
        if self._relapses.are_too_many(self._so_far.replayed):
            self._stop(f"{self._relapses.found} messages have failed again")
        self._so_far = replace(self._so_far, relapsed=self._relapses.found)

    def _is_at_end(self, taking: Taking) -> bool:
        """Return whether nothing is left to take; let more come where all that may come is in hand."""
        if not taking.has_all and taking.is_full:
            taking.more()
        # As in a sweep: what is on its way at the first answer is here at the second.
        for _ in range(2):
            if taking.has_all:
                return True
            if taking.settle():
                return False
        return True

    def _wait(self, taking: Taking, *, is_sending: bool, waits_for_rate: bool) -> None:
        now = time.monotonic()
        if is_sending or now - self._pumped_at > HEARTBEAT_S:
            self._pumped_at = now
            taking.admin.pump()
        elif waits_for_rate:
            self._rate.nap()
