"""Dead letters that RabbitMQ is about to drop."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator

from actors.brokers.dead_queues import DeadQueues
from actors.brokers.nodes import Nodes
from actors.brokers.topology import Topology
from actors.checks.finding import Finding, count, warning
from actors.dead_letters.stock import HEADS, SOON_MS, stock_of


def check_expiry(nodes: Nodes, topology: Topology, queues: Collection[str], timeout_s: float) -> Iterator[Finding]:
    """Say which queues have dead letters that expire within a day; the first of each are looked at, and given back."""
    until = time.time_ns() // 1_000_000 + SOON_MS
    with DeadQueues(nodes, topology, queues, timeout_s=timeout_s) as dead:
        for stock in stock_of(dead):
            if soon := sum(expires < until for expires in stock.expiring):
                more = " or more" if soon >= HEADS else ""
                yield warning(
                    "dead-letters",
                    stock.queue,
                    f"{count(soon, 'dead letter')}{more} will be dropped within 24 hours",
                    "replay them, or keep them in a file: actors dead export",
                )
