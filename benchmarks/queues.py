"""Leaves each trial the same empty server."""

import pika

import services


def delete_queues(server: services.RabbitMQ, prefix: str = "") -> None:
    """Delete the queues whose names start with *prefix*.

    Those by which relays are asked go by themselves, with the connections of the workers that have just stopped.
    """
    lines = server.ctl("list_queues", "name", "exclusive").splitlines()
    names = [name for name, exclusive in (line.split("\t") for line in lines if "\t" in line) if exclusive == "false"]
    with pika.BlockingConnection(pika.URLParameters(server.url)) as connection:
        for name in names:
            if name.startswith(prefix):
                connection.channel().queue_delete(name)
