"""Dead letters: look at them, replay or discard them, keep them in a file and put them back.

They wait where the messages do: in RabbitMQ, in a queue beside each queue of work, or in the file. What only looks at
them changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection

from actors.assembly import broker, settings
from actors.brokers.looked import Looked
from actors.checks.queues import users_of_queues
from actors.dead_letters.archive import Archived, BadLine, line_of, read_line
from actors.dead_letters.buried import Buried
from actors.dead_letters.groups import Group, Groups
from actors.dead_letters.letters import DeadLetters, Preview
from actors.dead_letters.objections import Objection
from actors.dead_letters.pages import Page
from actors.dead_letters.restoring import ImportTerms, Restored
from actors.dead_letters.selection import ALL, Dead, Selection
from actors.dead_letters.stock import Stock
from actors.dead_letters.terms import Replayed, Terms

__all__ = [
    "ALL",
    "Archived",
    "BadLine",
    "Buried",
    "Dead",
    "DeadLetters",
    "Group",
    "Groups",
    "ImportTerms",
    "Looked",
    "Objection",
    "Page",
    "Preview",
    "Replayed",
    "Restored",
    "Selection",
    "Stock",
    "Terms",
    "dead_letters",
    "line_of",
    "read_line",
]


def dead_letters(*queues: str, timeout_s: float = 10.0) -> DeadLetters:
    """Return the dead letters of the application; see :class:`DeadLetters`.

    Args:
        *queues: logical queues to look into, besides those of the loaded actors and of the routes.
        timeout_s: how long RabbitMQ may take for each answer, in seconds; a file has a timeout of its own.
    """
    known: Collection[str] = {*users_of_queues(broker.actors.values(), settings().queue_routes), *queues}
    return DeadLetters(broker, known, timeout_s=timeout_s)
