"""The marker in a file that says that what is in it is moved, or was, and how far that has come.

With it come triggers: from its first instant on no worker takes a message, no scheduler leads and no record changes,
also in processes that have the file open. They may go on to send, until the file is shut.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from actors.brokers.sqlite import holders
from actors.migrating.errors import InUse, MigrationRefused
from actors.migrating.file import alone
from actors.migrating.users import users_of
from middleware.letter import now_ms
from middleware.stores.sqlite import SqliteFile
from middleware.stores.sqlite.versions import shut
from periodic.sqlite.lock import break_lock

# records: the id up to which they are there. batch: the number of the newest; noted: what is in it, until it is gone.
_TABLE = """
CREATE TABLE actors_moving (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    name TEXT NOT NULL,
    target TEXT NOT NULL,
    why TEXT NOT NULL,
    records INTEGER NOT NULL DEFAULT 0,
    has_schedules INTEGER NOT NULL DEFAULT 0,
    batch INTEGER NOT NULL DEFAULT 0,
    noted TEXT NOT NULL DEFAULT '',
    is_over INTEGER NOT NULL DEFAULT 0
)
"""
_WORKERS = ("INSERT ON actors_holder", "INSERT ON actors_records", "UPDATE ON actors_records")
_SCHEDULERS = ("INSERT ON actors_periodic_lock", "UPDATE ON actors_periodic_lock")
# That of an application's own connection, too.
_PRODUCERS = ("INSERT ON actors_message",)


@dataclass(frozen=True, slots=True)
class Noted:
    """A batch that is being published.

    Attributes:
        table: whose rows it is made of.
        ids: of its rows, in the order in which they are published.
        at: for each the index of its queue in *queues*.
        queues: the names of physical queues.
        depths: how many messages were ready in each before.
    """

    table: str
    ids: Sequence[int] = field(default_factory=list)
    at: Sequence[int] = field(default_factory=list)
    queues: Sequence[str] = field(default_factory=list)
    depths: Sequence[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Marker:
    """How far a migration has come.

    Attributes:
        name: names this migration in RabbitMQ, too.
        target: where everything goes, for people.
        records: the id up to which the records of keys are there.
        has_schedules: whether the schedules' state is there.
        batch: the number of the newest batch of messages.
        noted: that batch, if it may not be there yet, or is and was not deleted here yet.
        is_over: whether everything is there.
    """

    name: str
    target: str
    records: int
    has_schedules: bool
    batch: int
    noted: Noted | None
    is_over: bool


def find(connection: sqlite3.Connection) -> Marker | None:
    """Return the marker, if there is one."""
    if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'actors_moving'").fetchone() is None:
        return None
    columns = "name, target, records, has_schedules, batch, noted, is_over"
    name, target, records, has_schedules, batch, noted, is_over = connection.execute(
        f"SELECT {columns} FROM actors_moving"  # noqa: S608
    ).fetchone()
    known = Noted(**json.loads(noted)) if noted else None
    return Marker(name, target, records, bool(has_schedules), batch, known, bool(is_over))


def begin(file: SqliteFile, target: str) -> Marker:
    """Put the marker into *file*, or go on from the one that is there.

    Raises:
        InUse: workers or schedulers use the file; nothing was changed.
        MigrationRefused: it is on its way to another *target*.
    """
    with file.write() as connection:
        marker = find(connection)
        if marker is None:
            _begin(file, connection, target)
            marker = find(connection)
            assert marker is not None  # noqa: S101
    if marker.target != target:
        raise MigrationRefused(
            f"{file.path}: what is in it is on its way to {marker.target}, and not to {target}; "
            "go on with that, or give it up with --abandon"
        )
    return marker


def _begin(file: SqliteFile, connection: sqlite3.Connection, target: str) -> None:
    now = now_ms()
    if users := users_of(file, connection, now=now):
        raise InUse(
            f"{file.path} is in use: {'; '.join(users)}. Stop all workers and schedulers, and try again; one that was "
            "killed is given up within 12 s"
        )
    # Those that were frozen, or killed, find out that they have nothing any more.
    holders.evict(connection, now=now)
    break_lock(connection)
    why = (
        f"all that it keeps goes to {target}, or is there by now; stop whoever uses it, and set ACTORS_BROKER_URL and "
        "ACTORS_STORE_URL to the new places; or, to go on with what is left in it: "
        f"actors migrate --from sqlite:///{file.path} --abandon"
    )
    connection.execute(_TABLE)
    connection.execute(
        "INSERT INTO actors_moving (id, name, target, why) VALUES (1, ?, ?, ?)", (uuid.uuid4().hex, target, why)
    )
    _refuse(connection, (*_WORKERS, *_SCHEDULERS))


def shut_out(connection: sqlite3.Connection) -> None:
    """From now on refuse producers, too."""
    shut(connection, is_shut=True)
    _refuse(connection, _PRODUCERS)


def keep(connection: sqlite3.Connection, **columns: int) -> None:
    """Note how far it has come."""
    settings = ", ".join(f"{name} = ?" for name in columns)
    connection.execute(f"UPDATE actors_moving SET {settings}", tuple(columns.values()))  # noqa: S608


def note(connection: sqlite3.Connection, noted: Noted | None) -> int:
    """Note which batch is published next, or None for none; return its number."""
    text = "" if noted is None else json.dumps(asdict(noted), separators=(",", ":"))
    connection.execute("UPDATE actors_moving SET noted = ?, batch = batch + ?", (text, int(noted is not None)))
    [number] = connection.execute("SELECT batch FROM actors_moving").fetchone()
    return int(number)


def delete(connection: sqlite3.Connection, table: str, ids: Sequence[int]) -> None:
    """Delete rows that are there."""
    connection.executemany(f"DELETE FROM {table} WHERE id = ?", [(each,) for each in ids])  # noqa: S608


def abandon(file: SqliteFile) -> Marker | None:
    """Let everybody use *file* again, with what is still in it; return the marker that was there, if one was.

    Raises:
        MigrationRefused: somebody moves what is in it just now.
    """
    with alone(file), file.write() as connection:
        marker = find(connection)
        if marker is not None:
            shut(connection, is_shut=False)
            for event in (*_WORKERS, *_SCHEDULERS, *_PRODUCERS):
                connection.execute(f"DROP TRIGGER IF EXISTS {_trigger(event)}")
            connection.execute("DROP TABLE actors_moving")
    return marker


def _refuse(connection: sqlite3.Connection, events: Sequence[str]) -> None:
    [why] = connection.execute("SELECT why FROM actors_moving").fetchone()
    text = str(why).replace("'", "''")
    for event in events:
        connection.execute(
            f"CREATE TRIGGER IF NOT EXISTS {_trigger(event)} BEFORE {event} BEGIN SELECT RAISE(ABORT, '{text}'); END"
        )


def _trigger(event: str) -> str:
    return "actors_moving_" + event.replace(" ON actors", "").lower()
