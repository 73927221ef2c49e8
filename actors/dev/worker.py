"""The broker of a worker under ``actors dev``: the application's, which also tells what runs.

Run as ``dramatiq actors.dev.worker MODULES``.
"""

from __future__ import annotations

from actors import broker
from actors.dev.middleware import Telling

__all__ = ["broker"]

broker.add_middleware(Telling())
