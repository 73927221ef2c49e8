"""What all consumers of a process have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from actors.brokers.sqlite.bell import Bell
from actors.brokers.sqlite.keeper import Keeper
from actors.brokers.sqlite.outage import Outage
from middleware.stores.sqlite import SqliteFile


@dataclass(frozen=True, slots=True)
class Workshop:
    """What all consumers of a process have in common.

    Attributes:
        file: where the messages are.
        bell: wakes consumers.
        keeper: renews leases.
        outage: is told when the file can't be used.
        lease_ms: after how many milliseconds without a sign of life a holder has lost what it had.
        retention_ms: after how many milliseconds a dead letter is dropped; None for never.
        takes_more: returns whether more messages are to be taken; not while the worker stops.
        records_are_synced: whether the outcome of a guarded message is on the disk once the store has it.
    """

    file: SqliteFile
    bell: Bell
    keeper: Keeper
    outage: Outage
    lease_ms: int
    retention_ms: int | None
    takes_more: Callable[[], bool]
    records_are_synced: bool
