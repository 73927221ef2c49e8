"""A connection that RabbitMQ blocks is left alone until it is read again."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from periodic.desk import Address
from periodic.status import Status
from periodic.watch import Watch
from tests.unit.periodic.moments import MIDNIGHT


class Connection:
    """What a watch needs of a connection: it tells of blocks, and counts the channels that are asked for."""

    def __init__(self) -> None:
        self._impl = self
        self.channels = 0

    def add_on_connection_blocked_callback(self, callback: Callable[[object, object], None]) -> None:
        self._blocked = callback

    def add_on_connection_unblocked_callback(self, callback: Callable[[object, object], None]) -> None:
        self._unblocked = callback

    def channel(self) -> None:
        self.channels += 1
        raise ConnectionResetError

    def block(self, reason: str) -> None:
        self._blocked(None, SimpleNamespace(method=SimpleNamespace(reason=reason)))

    def unblock(self) -> None:
        self._unblocked(None, None)


@pytest.mark.parametrize(("reason", "told"), [("low on disk", "low on disk"), ("", "no reason given")])
def test_nothing_is_asked_while_rabbitmq_would_not_read_it(reason: str, told: str) -> None:
    connection, status = Connection(), Status("one")
    address = Address("schedulers", "connected", lambda: "inbox", lambda into: SimpleNamespace(name=into, arguments={}))
    watch = Watch(connection, address, None, status, lambda: MIDNIGHT)

    connection.block(reason)
    watch.look()
    assert (status.blocked, connection.channels) == (told, 0)

    connection.unblock()
    with pytest.raises(ConnectionResetError):
        watch.look()
    assert (status.blocked, connection.channels) == ("", 1)
