"""What commands log, all of it on stderr."""

from __future__ import annotations

import logging


def log_everything() -> None:
    """Log from INFO on, for commands that work like a worker; a configuration that a module made stays."""
    logging.basicConfig(level=logging.INFO, format="[%(asctime)s] [%(name)s] [%(levelname)s] %(message)s")


def leave_outages_to_the_error() -> None:
    """Do not log each attempt to connect: a command that ends with an error says the same once."""
    logging.getLogger("actors.brokers.session").setLevel(logging.ERROR)
