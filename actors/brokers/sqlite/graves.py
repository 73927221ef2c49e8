"""Dead letters, looked at and taken away by operators; every function works within a transaction of its caller's.

They are gone through by their index: of a queue, the oldest first.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from middleware.letter import Letter, read_letter

_LEAST, _MOST = -(2**63), 2**63 - 1

# When a letter died, and the number of its row: all are behind START.
Place = tuple[int, int]
START: Place = (_LEAST, _LEAST)


class Wanted(Protocol):
    """Which dead letters are meant; :class:`~actors.dead_letters.Selection` is one."""

    @property
    def actors(self) -> Collection[str]:
        """Names of actors; empty for all, as with all that follow."""

    @property
    def reasons(self) -> Collection[str]:
        """Why they died."""

    @property
    def error_types(self) -> Collection[str]:
        """Names of errors' classes."""

    @property
    def fingerprints(self) -> Collection[str]:
        """Of errors."""

    @property
    def ids(self) -> Collection[str]:
        """Of letters or of messages."""

    @property
    def since(self) -> int | None:
        """When they died at the earliest, in milliseconds since the Unix epoch."""

    @property
    def until(self) -> int | None:
        """They died before then."""


@dataclass(frozen=True, slots=True)
class Grave:
    """A dead letter in its table.

    Attributes:
        id: of its row; never another's.
        queue: the logical queue.
        letter: what is said of it.
        expires: when it is dropped, in milliseconds since the Unix epoch; None for never.
        size: of its body, in bytes.
        body: the message; empty where nobody asked for it.
    """

    id: int
    queue: str
    letter: Letter
    expires: int | None
    size: int
    body: bytes

    @property
    def found_in(self) -> str:
        """The logical queue: there is no other."""
        return self.queue

    @property
    def found(self) -> Mapping[str, Any]:
        """Nothing: the letter says all."""
        return {}


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a way through the dead letters of a queue.

    Attributes:
        place: how far it has come.
        grave: the letter there, if it is meant.
    """

    place: Place
    grave: Grave | None


# By which columns letters are selected, and by which lists of what is wanted.
_COLUMNS = {"actors": "actor", "reasons": "reason", "error_types": "error_type", "fingerprints": "fingerprint"}


def steps(
    connection: sqlite3.Connection,
    queue: str,
    wanted: Wanted,
    *,
    now: int,
    limit: int,
    newest: int,
    after: Place = START,
    whole: bool = False,
) -> list[Step]:
    """Return the next steps through the dead letters of *queue*: those of others in between are steps, too.

    Args:
        connection: in a transaction.
        queue: the logical queue.
        wanted: which are meant. Only those in its times, and where it has ids only those, are gone through.
        now: those whose time is over by then are not there.
        limit: how many to return at most.
        newest: the row of the last one that is there.
        after: where to go on.
        whole: read their bodies.
    """
    # SQLite decides which are meant, so that of all others nothing is read, and nothing decoded.
    meant = " AND ".join(["1", *(f"{_COLUMNS[name]} IN {_places(name, wanted)}" for name in _lists(wanted))])
    rows = connection.execute(
        f"""
        SELECT id, died, iif({meant}, header, NULL), expires, length(body), iif(:whole AND {meant}, body, x'')
        FROM actors_dead_letter
        WHERE {_by_id(wanted) if wanted.ids else "queue = :queue"} AND died <= :last AND (died, id) > (:died, :id)
        AND id <= :newest AND (expires IS NULL OR expires > :now)
        ORDER BY died, id LIMIT :limit
        """,  # noqa: S608 (constants of this module, and places for values)
        _parameters(wanted, after) | {"queue": queue, "now": now, "limit": limit, "newest": newest, "whole": whole},
    )
    return [_step(queue, *row) for row in rows]


def newest(connection: sqlite3.Connection) -> int:
    """Return the row of the letter that came last; 0 if there is none."""
    return int(connection.execute("SELECT coalesce(max(id), 0) FROM actors_dead_letter").fetchone()[0])


def arrivals(
    connection: sqlite3.Connection, queues: Collection[str], *, after: int, limit: int
) -> tuple[int, int, list[Letter]]:
    """Return the row of the last letter that came after row *after*, how many came, and those of them in *queues*.

    Args:
        connection: in a transaction.
        queues: logical queues.
        after: a row.
        limit: how many of all queues to look at, at most.
    """
    rows = connection.execute(
        "SELECT id, queue, header FROM actors_dead_letter WHERE id > ? ORDER BY id LIMIT ?", (after, limit)
    ).fetchall()
    letters = [Letter.from_header(json.loads(header)) for _, queue, header in rows if queue in queues]
    last = rows[-1][0] if rows else after
    return last, len(rows), [letter for letter in letters if letter is not None]


def remove(connection: sqlite3.Connection, rows: Collection[int]) -> set[int]:
    """Delete those of *rows* that are still there; return which those were."""
    removed = connection.execute(
        "DELETE FROM actors_dead_letter WHERE id IN (SELECT value FROM json_each(?)) RETURNING id",
        (json.dumps(sorted(rows)),),
    )
    return {row for (row,) in removed}


def is_present(connection: sqlite3.Connection, letter: str, *, now: int) -> bool:
    """Return whether the letter with the id *letter* is there at *now*."""
    found = connection.execute(
        "SELECT 1 FROM actors_dead_letter WHERE letter = ? AND (expires IS NULL OR expires > ?) LIMIT 1", (letter, now)
    ).fetchone()
    return found is not None


def _parameters(wanted: Wanted, after: Place) -> dict[str, Any]:
    died, row = after if wanted.since is None else max(after, (_within(wanted.since), _LEAST))
    last = _MOST if wanted.until is None else _within(wanted.until - 1)
    values = {
        f"{name}_{number}": value
        for name in (*_lists(wanted), "ids")
        for number, value in enumerate(_values(name, wanted))
    }
    return values | {"died": died, "id": row, "last": last}


def _lists(wanted: Wanted) -> list[str]:
    """Return the names of the lists, but for that of ids, that have something in them."""
    return [name for name in _COLUMNS if getattr(wanted, name)]


def _values(name: str, wanted: Wanted) -> list[str]:
    """Return what is in a list, but for what is no Unicode, and therefore nobody's."""
    return [
        value for value in getattr(wanted, name) if value.isascii() or value == value.encode(errors="ignore").decode()
    ]


def _places(name: str, wanted: Wanted) -> str:
    """Return a place for each value of a list: a text that has a NUL in it can be bound, and is cut in JSON."""
    return f"({', '.join(f':{name}_{number}' for number in range(len(_values(name, wanted))))})"


def _by_id(wanted: Wanted) -> str:
    # The + keeps SQLite from going through the queue all the same, for the sake of its order.
    places = _places("ids", wanted)
    return f"""+queue = :queue AND id IN (
            SELECT id FROM actors_dead_letter WHERE letter IN {places}
            UNION SELECT id FROM actors_dead_letter WHERE message_id IN {places}
        )"""  # noqa: S608 (places for values)


def _step(queue: str, row: int, died: int, header: str | None, expires: int | None, size: int, body: bytes) -> Step:
    grave = None
    if header is not None:
        # One that this release can't read was made by another.
        letter = Letter.from_header(json.loads(header)) or read_letter(body, queue=queue, died=died)
        grave = Grave(row, queue, letter, expires, size, body)
    return Step((died, row), grave)


def _within(moment: int) -> int:
    """Return *moment*, or the nearest that SQLite has."""
    return max(_LEAST, min(_MOST, moment))
