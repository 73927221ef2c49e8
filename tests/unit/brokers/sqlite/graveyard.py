"""Dead letters and delayed messages of a test's own, as operators meet them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actors.brokers.sqlite import graves
from actors.brokers.sqlite.dead_letters import Burial, bury
from actors.brokers.sqlite.graves import Grave
from actors.dead_letters import Selection
from middleware import Letter
from middleware.stores.sqlite import SqliteFile
from tests.unit.brokers.sqlite.table import NOW

EVERYTHING = Selection()
NEWEST = 2**63 - 1


def letter(name: str, **fields: Any) -> Letter:
    given: dict[str, Any] = {
        "id": f"letter-{name}",
        "message_id": name,
        "queue": "default",
        "reason": "exhausted",
        "error_type": "ValueError",
        "error": "boom",
        "fingerprint": "00ff",
        "died": NOW,
        "actor": "job",
    }
    return Letter(**given | fields)


def put_in_graves(
    file: SqliteFile, *letters: Letter, expires: int | None = None, bodies: Mapping[str, bytes] | None = None
) -> None:
    with file.write() as connection:
        for each in letters:
            body = f"body of {each.message_id}".encode() if bodies is None else bodies[each.message_id]
            bury(connection, Burial(each, body, expires))


def found(file: SqliteFile, wanted: Selection = EVERYTHING, *, queue: str = "default", **options: Any) -> list[Grave]:
    """Return what is meant among all dead letters of *queue*."""
    given = {"now": NOW, "limit": 1_000, "newest": NEWEST} | options
    with file.read() as connection:
        steps = graves.steps(connection, queue, wanted, **given)
    return [step.grave for step in steps if step.grave is not None]


def names(graves: list[Grave]) -> list[str]:
    return [grave.letter.message_id for grave in graves]
