"""The schedules' state goes from the file to RabbitMQ: watermark and roster, in one frame."""

from __future__ import annotations

from contextlib import closing

from dramatiq.errors import ConnectionFailed
from pika import BasicProperties, BlockingConnection
from pika.exceptions import AMQPError

from actors.brokers.rabbitmq import RabbitmqEngine
from actors.migrating.errors import MigrationRefused
from periodic.acting import Occupied, lead
from periodic.declaring import Declaring, NotDeclared
from periodic.ledger import ALSO_TO, HEADER, PERSISTENT
from periodic.roster import Roster
from periodic.watermark import Watermark

State = tuple[Roster | None, Watermark | None]


def require_none(ours: State, theirs: State, where: str) -> None:
    """Do nothing, if the state of schedules in RabbitMQ, *theirs*, is none, or has come from *ours*.

    Raises:
        MigrationRefused: schedulers have led there before.
    """
    roster, watermark = theirs
    if (roster is None and watermark is None) or _has_come_from(ours, theirs):
        return
    mark = "" if watermark is None else f", up to {watermark.mark.due.isoformat()}"
    names = "" if roster is None or not roster.entries else f" ({', '.join(sorted(roster.entries)[:5])}, …)"
    raise MigrationRefused(
        f"{where}: schedulers have led there before{mark}{names}. Give it another ACTORS_QUEUE_PREFIX; or, to replace "
        "their watermark, pauses and run-time schedules by those of the file, stop them and give --force"
    )


def move_state(engine: RabbitmqEngine, ours: State, *, force: bool, timeout_s: float) -> None:
    """Put watermark and roster into RabbitMQ's queues, as the one that leads: with the baton in hand.

    Args:
        engine: of the RabbitMQ.
        ours: what the file has.
        force: whether what is there is replaced.
        timeout_s: how long to wait for the baton, in seconds.

    Raises:
        MigrationRefused: schedulers have led there before, or do.
        ConnectionFailed: nobody knows whether it was done; it can be repeated.
    """
    try:
        with closing(BlockingConnection(engine.options.nodes.parameters("migration"))) as connection:
            _move(connection, engine, ours, force=force, timeout_s=timeout_s)
    except NotDeclared as error:
        raise MigrationRefused(f"{engine.where}: {error}") from None
    except AMQPError as error:
        raise ConnectionFailed(f"{engine.where}: {error!r}") from None


def _move(
    connection: BlockingConnection, engine: RabbitmqEngine, ours: State, *, force: bool, timeout_s: float
) -> None:
    queues = engine.options.topology.periodic()
    roster, watermark = ours
    if roster is None or watermark is None:
        Declaring(connection).declare_all(queues)
        return
    try:
        acting = lead(connection, queues, timeout_s=timeout_s)
    except Occupied:
        raise MigrationRefused(
            f"{engine.where}: a scheduler leads there; stop it, and run the same command again"
        ) from None
    theirs = acting.roster, acting.watermark
    if _has_come_from(ours, theirs):
        return
    if not force:
        require_none(ours, theirs, engine.where)
    # The queue of the watermark looks into this header, that of the roster into the body.
    headers = {ALSO_TO: [queues.roster.name], HEADER: watermark.encode()}
    properties = BasicProperties(delivery_mode=PERSISTENT, headers=headers)
    acting.channel.basic_publish("", queues.watermark.name, roster.encode(), properties, mandatory=True)


def _has_come_from(ours: State, theirs: State) -> bool:
    """Return whether *theirs* is what an earlier attempt has put there, or what leaders have made of it since."""
    if ours[0] is None or ours[1] is None or theirs[0] is None or theirs[1] is None:
        return False
    first = {name: entry.since for name, entry in ours[0].entries.items()}
    same = any(first.get(name) == entry.since for name, entry in theirs[0].entries.items())
    return theirs[1].mark >= ours[1].mark and (same or theirs[1].encode() == ours[1].encode())
