"""Which part of this package knows an engine's dead letters."""

from __future__ import annotations

from collections.abc import Collection

from actors.brokers.engine import Engine
from actors.brokers.rabbitmq import RabbitmqEngine
from actors.brokers.sqlite import SqliteEngine
from actors.dead_letters.graves import Graves
from actors.dead_letters.rabbitmq import RabbitmqGraves
from actors.dead_letters.sqlite import SqliteGraves
from actors.errors import SettingsError


def graves_of(engine: Engine, queues: Collection[str], *, timeout_s: float) -> Graves:
    """Return the dead letters that *engine* keeps.

    Args:
        engine: where they are.
        queues: the logical queues to look into where a selection names none.
        timeout_s: how long RabbitMQ may take for each answer, in seconds.

    Raises:
        SettingsError: it keeps none that could be looked at.
    """
    if isinstance(engine, RabbitmqEngine):
        return RabbitmqGraves(engine, queues, timeout_s=timeout_s)
    if isinstance(engine, SqliteEngine):
        return SqliteGraves(engine, queues)
    raise SettingsError(f"this needs RabbitMQ or a file, and the broker is {engine.where}")
