"""Takes messages from one queue of a file, and ends them in batches."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from time import monotonic, sleep

import dramatiq
from dramatiq.errors import DecodeError

from actors.brokers.delivery import Delivery, last_body, well_formed
from actors.brokers.dispatch import Dispatch
from actors.brokers.exchange import Exchange
from actors.brokers.sqlite.appetite import Appetite
from actors.brokers.sqlite.bell import Ear
from actors.brokers.sqlite.dead_letters import Burial
from actors.brokers.sqlite.queues import Taken
from actors.brokers.sqlite.settling import Settlement
from actors.brokers.sqlite.share import PROBE_EVERY_S, End, Share
from actors.brokers.sqlite.tenure import Tenure
from actors.brokers.sqlite.watch import Watch
from actors.brokers.sqlite.workshop import Workshop
from actors.brokers.watched import Watched
from middleware.letter import Letter
from middleware.stores.sqlite import FileRefused, FileUnavailable

# How long a consumer that is closed waits for a file that can't be used, in seconds.
LAST_WAIT_S = 5.0


class Consumer(Watched):
    """Iterates over the messages of one logical queue.

    The order at the end of an attempt: its outcome is recorded, then what follows it is put into its queue, and it is
    deleted, in one transaction. Each transaction is one of all that have ended since the last, and takes new ones too.

    While the file can't be used nothing goes on, and nothing is lost; the thread does not end.

    Args:
        broker: the broker, whose hooks and actors count.
        shop: what all consumers have in common.
        queue_name: the logical queue; messages that claim to belong to another are made to belong to this one.
        appetite: says how many messages to hold.
        idle_ms: the longest that one step of the iteration waits, in milliseconds.
    """

    def __init__(self, broker: Dispatch, shop: Workshop, *, queue_name: str, appetite: Appetite, idle_ms: int) -> None:
        super().__init__()
        self.queue_name = queue_name
        self._broker = broker
        self._shop = shop
        self._appetite = appetite
        self._idle_s = idle_ms / 1000
        self._ear = Ear(shop.bell, queue_name)
        self._watch = Watch(self._ear)
        self._share = Share(shop, queue_name, tell=broker.tell_attempts, on_lost=self._abandon)
        self._takes_more = True
        self._exchange = Exchange(broker, broker.guard, conclude=self._conclude, call_later=self._call_later)
        # When the exchange is to have its turn at the latest.
        self._turn_at = float("inf")
        # What was taken and has not come back from the workers: when it was handed to them, 0 before that.
        self._in_hand: dict[int, float] = {}
        self._in_hand_s: deque[float] = deque()
        shop.keeper.keep(self._share.kept)

    def __next__(self) -> dramatiq.MessageProxy | None:
        ready = self._exchange.ready
        if not ready:
            self._wait()
            self._write()
            self._exchange.turn()
            self.turned_at_s = monotonic()
        if not ready:
            return None
        delivery = ready.popleft()
        self._in_hand[delivery.tag] = monotonic()
        return delivery

    @property
    def problem(self) -> str:
        """Why it takes no messages just now; empty if it does."""
        return self._share.problem

    @property
    def in_hand(self) -> int:
        """How many messages it has taken that have not ended; from any thread."""
        return len(self._share.held)

    def ack(self, message: dramatiq.MessageProxy) -> None:
        """Note that the attempt of *message* has ended: record it, then write what follows it, and delete it."""
        assert isinstance(message, Delivery)  # noqa: S101
        if since := self._in_hand.pop(message.tag, 0.0):
            self._in_hand_s.append(monotonic() - since)
        if self._exchange.end(message):
            self._ear.wake()
        else:
            self._conclude(message, True)

    # A failed message is no different: its dead letter is one more thing that follows it.
    nack = ack

    def take_no_more(self) -> None:
        """From now on take nothing; what was taken ends, or goes back, as ever. From any thread."""
        self._takes_more = False

    def requeue(self, messages: Iterable[dramatiq.MessageProxy]) -> None:
        """Give *messages* back at shutdown, and their keys; closing would, too, but only later."""
        for message in messages:
            assert isinstance(message, Delivery)  # noqa: S101
            if not self._exchange.leave(message):
                self._end(End(message.epoch, Settlement(message.tag, requeue=True)))

    def close(self) -> None:
        """Bring to an end what has ended in the workers, and give back all else."""
        self.is_closed = True
        self._abandon()
        self._exchange.finish()
        deadline = monotonic() + LAST_WAIT_S
        while True:
            try:
                self._share.leave()
            except (FileUnavailable, FileRefused) as error:
                self._share.pause(error)
                if monotonic() < deadline:
                    sleep(PROBE_EVERY_S)
                    continue
            break
        self._shop.keeper.drop(self._share.kept)
        self._ear.close()

    def _conclude(self, delivery: Delivery, is_current: bool) -> None:
        """Note how *delivery* ends, whose outcome is recorded; nothing follows one that is not current."""
        if not is_current or delivery.requeue:
            self._end(End(delivery.epoch, Settlement(delivery.tag, requeue=is_current)))
        elif delivery.failed:
            letter = self._broker.dead_letter.letter_of(delivery, self.queue_name)
            self._end_dead(letter, last_body(delivery), delivery)
        else:
            followers = [each.publication for each in delivery.outbox]
            settlement = Settlement(delivery.tag, followers=followers)
            # What follows is told of, and is to be there then.
            is_guarded = delivery.guarded is not None and delivery.guarded.request is not None
            is_recorded = not followers and is_guarded and self._shop.records_are_synced
            self._end(End(delivery.epoch, settlement, self._report(delivery), is_recorded))

    def _end_dead(self, letter: Letter, body: bytes, delivery: Delivery) -> None:
        error = delivery.take_error()
        report = self._report(delivery)

        def then() -> None:
            self._broker.dead_letter.forwarded(letter, error)
            report()

        followers = [each.publication for each in delivery.outbox]
        settlement = Settlement(delivery.tag, followers=followers, burial=self._burial(letter, body))
        self._end(End(delivery.epoch, settlement, then))

    def _report(self, delivery: Delivery) -> Callable[[], None]:
        """Return what tells the hooks of what the attempt has sent, once that is durable."""
        sent = [each for each in delivery.outbox if each.outgoing is not None]

        def report() -> None:
            for each in sent:
                if each.outgoing is not None:
                    self._broker.emit_after("enqueue", each.message, each.outgoing.delay)

        return report

    def _burial(self, letter: Letter, body: bytes) -> Burial:
        retention_ms = self._shop.retention_ms
        return Burial(letter, body, None if retention_ms is None else letter.died + retention_ms)

    def _end(self, end: End) -> None:
        self._share.end(end)
        self._ear.wake()

    # All that follows runs on the consumer's thread.

    def _wait(self) -> None:
        """Wait until there is something to do, or it is time to yield None."""
        now = monotonic()
        seconds = min(self._idle_s, self._turn_at - now)
        if now < self._share.paused_until:
            seconds = min(seconds, self._share.paused_until - now)
        elif self._share.has_ends or (self._watch.is_due and self._room()):
            seconds = 0.0
        self._watch.wait(seconds)
        if monotonic() >= self._turn_at:
            self._turn_at = float("inf")

    def _call_later(self, seconds: float, _: Callable[[], None]) -> None:
        # The exchange has its turn in any case. It only asks to be woken for that.
        self._turn_at = monotonic() + seconds

    def _room(self) -> int:
        takes_more = self._takes_more and self._shop.takes_more()
        return self._appetite.room(len(self._in_hand)) if takes_more else 0

    def _write(self) -> None:
        """End what has ended, and take what there is room for."""
        if monotonic() < self._share.paused_until:
            return
        self._appetite.learn([self._in_hand_s.popleft() for _ in range(len(self._in_hand_s))])
        room = self._room()
        try:
            if not self._share.has_ends:
                if not room or not self._watch.is_due:
                    return
                if not self._watch.saw(self._share.peek()):
                    return
            taking = self._share.write(room)
        except (FileUnavailable, FileRefused) as error:
            self._share.pause(error)
            return
        self._shop.outage.over()
        if room:
            self._watch.saw(taking.moment)
        for taken in taking.taken:
            self._deliver(taken)

    def _deliver(self, taken: Taken) -> None:
        tenure = self._share.tenure
        assert tenure is not None  # noqa: S101
        self._share.held[taken.id] = None
        try:
            message = well_formed(dramatiq.Message.decode(taken.body))
            if message.queue_name != self.queue_name:
                # Dramatiq's worker looks its consumer up by this name, and dies where there is none.
                message = message.copy(queue_name=self.queue_name)
        except (DecodeError, TypeError) as error:
            self._bury(taken, tenure, error)
            return
        delivery = Delivery(message, redelivered=taken.lost > 0, epoch=tenure, tag=taken.id, body=taken.body)
        self._share.held[taken.id] = delivery
        self._in_hand[taken.id] = 0.0
        self._exchange.arrive(delivery)

    def _bury(self, taken: Taken, tenure: Tenure, error: Exception) -> None:
        """Forward what can't be decoded to the dead letters, byte for byte."""
        dead_letter = self._broker.dead_letter
        letter = dead_letter.letter_of_body(taken.body, error, self.queue_name, taken.message_id)
        settlement = Settlement(taken.id, burial=self._burial(letter, taken.body))
        self._end(End(tenure, settlement, lambda: dead_letter.forwarded(letter)))

    def _abandon(self) -> None:
        """Give up the keys of what has not started, and never will: who gets it next need not wait for our leases."""
        if self._share.tenure is not None:
            self._share.tenure.over = True
        self._exchange.forget()
        self._in_hand.clear()
        for delivery in self._share.held.values():
            if delivery is not None:
                self._exchange.leave(delivery)
