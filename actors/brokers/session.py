"""A channel to RabbitMQ that reopens itself."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pika.adapters.select_connection import IOLoop, SelectConnection
from pika.adapters.utils.connection_workflow import AMQPConnectionWorkflowFailed, AMQPConnectorException
from pika.channel import Channel
from pika.exceptions import AMQPError

from actors.brokers.nodes import Nodes

log = logging.getLogger(__name__)
# The session says once, in one line, what pika says in several tracebacks an attempt.
logging.getLogger("pika").setLevel(logging.CRITICAL)

FIRST_BACKOFF_S = 0.1
LONGEST_BACKOFF_S = 2.0
STABLE_AFTER_S = 5.0
QUIET_FOR_S = 30.0

# Of our own: an application may have seeded the common one.
_random = random.SystemRandom()


class Session:
    """One channel on one connection, opened again with backoff and jitter whenever it ends.

    It has no thread of its own: it lives while some one thread calls :meth:`pump`, and all callbacks run there.
    Only :meth:`call_soon` may be called from other threads.

    Args:
        nodes: where to connect; each attempt tries all of them, in random order.
        role: the connection's name in logs and in RabbitMQ's own tools.
        on_open: called with each new channel.
        on_lost: called with the reason when a channel that was open is gone.
        on_unblocked: called when RabbitMQ accepts publications again after an alarm.
        idle_s: the longest that one :meth:`pump` waits, in seconds.

    Attributes:
        channel: the open channel, or None.
        blocked: RabbitMQ's reason for having blocked publishers on this connection (a resource alarm), or None.
        last_error: why the newest attempt to connect failed, or the last channel ended.
    """

    def __init__(
        self,
        nodes: Nodes,
        role: str,
        *,
        on_open: Callable[[Channel], None],
        on_lost: Callable[[str], None] = lambda reason: None,
        on_unblocked: Callable[[], None] = lambda: None,
        idle_s: float = 1.0,
    ) -> None:
        self.channel: Channel | None = None
        self.blocked: str | None = None
        self.last_error: str | None = None
        self._nodes = nodes
        self._parameters = nodes.parameters(role)
        self._role = role
        self._on_open = on_open
        self._on_lost = on_lost
        self._on_unblocked = on_unblocked
        self._idle_s = idle_s
        self._connection: SelectConnection | None = None
        self._connecting: Any = None
        self._closing = False
        self._failures = 0
        self._opened_at = 0.0
        self._warned_at = float("-inf")
        self._loop = IOLoop()
        self._loop.activate_poller()
        self._loop.call_later(0, self._connect)
        self._tick()

    def pump(self) -> None:
        """Wait for the network, a timer or another thread, at most ``idle_s`` seconds, and run what is due."""
        self._loop.poll()
        self._loop.process_timeouts()

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Run *callback* on the pumping thread as soon as possible; safe from any thread."""
        self._loop.add_callback_threadsafe(callback)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        """Run *callback* on the pumping thread after *seconds*."""
        self._loop.call_later(max(0.0, seconds), lambda: _contained(callback))

    def open_channel(self, on_open: Callable[[Channel], object]) -> Channel:
        """Open another channel on the same connection; the session does not look after it."""
        if self._connection is None:
            raise RuntimeError("the session has no connection")
        return self._connection.channel(on_open_callback=on_open)

    @property
    def server_version(self) -> str:
        """RabbitMQ's version as it introduced itself, or ``""`` without a connection."""
        properties = self._connection.server_properties if self._connection is not None else None
        return str((properties or {}).get("version", ""))

    def drop(self, reason: str) -> None:
        """Give the channel up, as if it had been lost, and open a new one after the backoff."""
        self._lost(reason)

    def abort(self) -> None:
        """End the connection at once; what was not read is lost, and no new one is opened. It must still be closed."""
        self._closing = True
        connection = self._connection
        if connection is not None and connection.is_open:
            # Whoever closes in an orderly way reads first what RabbitMQ has sent, be it for seconds.
            connection._terminate_stream(AMQPError("the connection was given up"))
            self.pump()

    def close(self, timeout_s: float = 1.0) -> None:
        """End the connection in an orderly way, so that what was written arrives; give up after *timeout_s*."""
        self._closing = True
        if self._connecting is not None:
            self._abandon(self._connecting)
        connection = self._connection
        if connection is not None and connection.is_open:
            with suppress(AMQPError):
                connection.close()
        deadline = time.monotonic() + timeout_s
        while self._is_ending(connection) and time.monotonic() < deadline:
            self.pump()
        if connection is not None and not connection.is_closed:
            connection._terminate_stream(AMQPError("no answer to the end of the connection"))
            self.pump()
        self.channel = self._connection = None
        self._loop.close()

    def _is_ending(self, connection: SelectConnection | None) -> bool:
        return self._connecting is not None or (connection is not None and not connection.is_closed)

    def _abandon(self, connecting: Any) -> None:
        try:
            connecting.abort()
        except AMQPConnectorException:
            self._connecting = None
        except AssertionError:
            # pika 1.4 can't abort an attempt whose handshake has begun, as with a node that has fallen silent. Its
            # assertions fail again while the transport ends, but the socket is closed.
            connecting._connector._amqp_conn._transport.abort()
            with suppress(AssertionError):
                self.pump()
            self._connecting = None

    def _tick(self) -> None:
        self._loop.call_later(self._idle_s, self._tick)

    def _connect(self) -> None:
        if self._closing or self._connecting is not None or self._connection is not None:
            return
        in_random_order = _random.sample(self._parameters, len(self._parameters))
        self._connecting = SelectConnection.create_connection(
            in_random_order, self._connected, custom_ioloop=self._loop
        )

    def _connected(self, outcome: SelectConnection | BaseException) -> None:
        self._connecting = None
        if isinstance(outcome, BaseException):
            self._lost(_explain(outcome))
            return
        self._connection = connection = outcome
        connection.add_on_close_callback(lambda closed, error: self._gone(closed, _explain(error)))
        connection.add_on_connection_blocked_callback(lambda _, frame: self._block(connection, frame.method.reason))
        connection.add_on_connection_unblocked_callback(lambda _, frame: self._block(connection, None))
        if self._closing:
            connection.close()
            return
        channel = connection.channel(on_open_callback=self._opened)
        channel.add_on_close_callback(lambda _, error: self._gone(connection, _explain(error)))

    def _opened(self, channel: Channel) -> None:
        self.channel = channel
        self._opened_at = time.monotonic()
        log.log(
            logging.INFO if self._failures else logging.DEBUG,
            "%s: connected to RabbitMQ %s",
            self._role,
            self.server_version,
        )
        self._warned_at = float("-inf")
        self._on_open(channel)

    def _block(self, connection: SelectConnection, reason: str | None) -> None:
        if connection is not self._connection:
            return
        self.blocked = reason
        if reason is not None:
            log.warning("%s: RabbitMQ has blocked publishers: %s", self._role, reason)
        else:
            self._on_unblocked()

    def _gone(self, connection: SelectConnection, reason: str) -> None:
        # A connection given up earlier reports its end late; it is not the one in use.
        if connection is self._connection:
            self._lost(reason)

    def _lost(self, reason: str) -> None:
        connection, self._connection = self._connection, None
        was_open, self.channel, self.blocked = self.channel is not None, None, None
        if connection is not None and connection.is_open:
            with suppress(AMQPError):
                connection.close()
        if self._closing:
            return
        self.last_error = reason
        if was_open and time.monotonic() - self._opened_at > STABLE_AFTER_S:
            self._failures = 0
        wait_s = min(LONGEST_BACKOFF_S, FIRST_BACKOFF_S * 2.0**self._failures) * _random.uniform(0.5, 1.0)
        self._failures = min(self._failures + 1, 16)
        self._warn(reason, wait_s)
        self._loop.call_later(wait_s, self._connect)
        if was_open:
            self._on_lost(reason)

    def _warn(self, reason: str, wait_s: float) -> None:
        """Log the first of a row of failures, then one each half minute: a broker that is away is no flood of lines."""
        if time.monotonic() - self._warned_at < QUIET_FOR_S:
            return
        self._warned_at = time.monotonic()
        log.warning("%s: no connection to %s: %s; trying again in %.1f s", self._role, self._nodes, reason, wait_s)


def _contained(callback: Callable[[], None]) -> None:
    try:
        callback()
    except Exception:
        # pika would drop all other timers that are due in the same round.
        log.exception("unexpected error in a timer")


def _explain(error: BaseException) -> str:
    """Return the one cause worth reading among pika's nested exceptions."""
    if isinstance(error, AMQPConnectionWorkflowFailed):
        return "; ".join(dict.fromkeys(_explain(each) for each in error.exceptions))
    cause = getattr(error, "exception", None)
    if isinstance(cause, BaseException):
        return _explain(cause)
    text = getattr(error, "reply_text", None) or str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
