"""``actors relay``."""

from __future__ import annotations

import signal
import threading

from actors.assembly import broker, on_rabbitmq
from actors.brokers.delays import Relay
from actors.brokers.sqlite import SqliteEngine
from actors.cli.logs import log_everything
from actors.cli.modules import load_modules
from actors.cli.options import Modules, MoreModules
from actors.errors import SettingsError


def relay(modules: Modules = None, more_modules: MoreModules = None) -> None:
    """Move delayed messages on when they are due.

    It runs until SIGTERM or SIGINT. Every worker does this, too; run it alone where delays
    must end while no worker runs. Any number may run side by side. Modules are needed only where one of them calls
    configure(). It is for RabbitMQ: in a file nothing has to be moved.
    """
    load_modules(modules, more_modules)
    log_everything()
    if isinstance(broker.engine, SqliteEngine):
        raise SettingsError(
            f"a relay has nothing to do: messages are in {broker.engine.where}, where workers take the delayed ones "
            "when they are due; run one for RabbitMQ"
        )
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    engine = on_rabbitmq().engine
    moving = Relay(engine.options.nodes, engine.declarations, engine.publisher)
    moving.start()
    stopping.wait()
    moving.stop()
    broker.close()
