"""A ledger in queues of RabbitMQ."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import datetime

import pika
from pika import BasicProperties
from pika.exceptions import NackError

import services
from actors.brokers.topology import Topology
from periodic.baton import Baton
from periodic.declaring import Declaring
from periodic.kept import read
from periodic.ledger import HEADER
from periodic.missed import Missed
from periodic.queues import Publication, Queue
from periodic.roster import Roster
from periodic.schedule import Schedule
from periodic.takeover import Replica
from periodic.term import begin
from periodic.tick import Tick
from periodic.watermark import Watermark
from services.deadline import until
from tests.conformance.ledgers.subject import Begun

PROBE = "probe"

# Closes the one connection that has a name; there must be one.
CLOSE = """
Told = fun(Pid) -> io_lib:format("~p", [rabbit_reader:info(Pid, [client_properties])]) end,
Is = fun(Pid) -> string:find(Told(Pid), {name}) =/= nomatch end,
[Found] = lists:filter(Is, rabbit_networking:connections()), rabbit_networking:close_connection(Found, "deposed").
"""


class OnRabbitmq:
    """Queues of a real server, under names of its own."""

    def __init__(self, server: services.RabbitMQ) -> None:
        self._server = server
        self._topology = Topology("quorum", f"t{secrets.token_hex(4)}")
        self._queues = self._topology.periodic()
        self._works: set[str] = set()
        self._own = self._connected("subject")
        self._begun: list[tuple[Begun, str, pika.BlockingConnection]] = []

    def begin(self, replica: Replica, now: datetime) -> Begun:
        name = secrets.token_hex(4)
        connection = self._connected(name)
        declaring = Declaring(connection)
        for each in fields(self._queues):
            declaring.declare(getattr(self._queues, each.name))
        channel = connection.channel()
        channel.confirm_delivery()
        baton = Baton(channel, self._queues.baton)
        until(lambda: connection.process_data_events(0.01) or baton.is_held, seconds=10, what="the baton")

        def term(now: datetime) -> Begun:
            ledger, positions, leader = begin(connection, channel, declaring, self._queues, replica, now, confirmed="")
            begun = Begun(ledger, positions, leader, lambda: None, connection.close, term)
            self._begun.append((begun, name, connection))
            return begun

        try:
            return term(now)
        except Exception:
            connection.close()
            raise

    def depose(self, begun: Begun) -> None:
        [name] = [name for each, name, _ in self._begun if each is begun]
        self._server.evaluate(CLOSE, name=name)

    def publication(self, schedule: Schedule, tick: Tick) -> Publication:
        properties = BasicProperties(message_id=tick.id, delivery_mode=2)
        return Publication(self._work(schedule.name), schedule.name.encode(), properties)

    @contextmanager
    def full(self, schedule: str) -> Iterator[None]:
        name = self._work(schedule).name
        definition = json.dumps({"max-length": 0, "overflow": "reject-publish"})
        try:
            with self._server.policy(f"^{name}$", definition):
                # A policy takes hold a moment later.
                until(lambda: not self._takes(name), seconds=10, what="a refusal")
                yield
        finally:
            until(lambda: self._takes(name), seconds=10, what="the end of refusals")

    def read(self) -> tuple[Roster | None, Watermark | None]:
        channel = self._own.channel()
        roster, watermark = read(channel, self._queues.roster), read(channel, self._queues.watermark)
        channel.close()
        return (
            None if roster is None else Roster.decode(roster.body),
            None if watermark is None else Watermark.decode(watermark.properties.headers[HEADER]),
        )

    def jobs(self) -> list[str]:
        channel, found = self._own.channel(), list[str]()
        for name in self._works:
            while (got := channel.basic_get(name))[0] is not None:
                found.append(got[1].message_id)
        channel.close()
        return [id_ for id_ in found if id_ != PROBE]

    def missed(self) -> int:
        channel = self._own.channel()
        count = int(channel.queue_declare(self._queues.missed.name, passive=True).method.message_count)
        channel.close()
        return count

    def oldest_missed(self, limit: int) -> list[Missed]:
        channel, found = self._own.channel(), list[Missed]()
        while len(found) < limit and (got := channel.basic_get(self._queues.missed.name))[0] is not None:
            found.append(Missed.decode(got[2]))
        channel.close()
        return found

    def close(self) -> None:
        for _, _, connection in self._begun:
            if connection.is_open:
                connection.close()
        channel = self._own.channel()
        for name in (*self._works, *(getattr(self._queues, each.name).name for each in fields(self._queues))):
            channel.queue_delete(name)
        self._own.close()

    def _takes(self, queue: str) -> bool:
        channel = self._own.channel()
        channel.confirm_delivery()
        try:
            channel.basic_publish("", queue, b"", BasicProperties(message_id=PROBE))
        except NackError:
            return False
        finally:
            channel.close()
        return True

    def _work(self, schedule: str) -> Queue:
        queue = self._topology.work(f"work-{schedule}")
        if queue.name not in self._works:
            self._works.add(queue.name)
            self._own.channel().queue_declare(queue.name, durable=True, arguments=dict(queue.arguments))
        return queue

    def _connected(self, name: str) -> pika.BlockingConnection:
        parameters = pika.URLParameters(self._server.url)
        parameters.client_properties = {"connection_name": name}
        return pika.BlockingConnection(parameters)
