"""Schedules as operators see them, and an operator's word on them."""

from __future__ import annotations

from actors.assembly import broker, on_rabbitmq
from actors.brokers.sqlite import SqliteEngine
from actors.operating.events import Event, History
from actors.operating.operator import ChangeRefused, NoLeader, Operator, Overview, Page, Standing, who
from actors.operating.rabbitmq import rabbitmq_view
from actors.operating.sqlite import sqlite_view

__all__ = [
    "ChangeRefused",
    "Event",
    "History",
    "NoLeader",
    "Operator",
    "Overview",
    "Page",
    "Standing",
    "operator",
    "who",
]


def operator(*, timeout_s: float) -> Operator:
    """Return what looks at the schedulers of the application, and tells them what to do.

    Args:
        timeout_s: how long an answer may take, and how long a leader is looked for, in seconds.
    """
    if isinstance(broker.engine, SqliteEngine):
        file = broker.engine.options.file
        return Operator(broker, lambda: sqlite_view(file, timeout_s=timeout_s))
    engine = on_rabbitmq().engine
    return Operator(broker, lambda: rabbitmq_view(engine, timeout_s=timeout_s))
