"""``actors relay``."""

from __future__ import annotations

import signal
import threading

from actors.assembly import broker, on_rabbitmq
from actors.brokers.delays import Relay
from actors.cli.logs import log_everything
from actors.cli.modules import load_modules
from actors.cli.options import Modules, MoreModules


def relay(modules: Modules = None, more_modules: MoreModules = None) -> None:
    """Move delayed messages on when they are due.

    It runs until SIGTERM or SIGINT. Every worker does this, too; run it alone where delays
    must end while no worker runs. Any number may run side by side. Modules are needed only where one of them calls
    configure().
    """
    load_modules(modules, more_modules)
    log_everything()
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    engine = on_rabbitmq().engine
    moving = Relay(engine.options.nodes, engine.declarations, engine.publisher)
    moving.start()
    stopping.wait()
    moving.stop()
    broker.close()
