"""``actors send``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from actors.assembly import broker
from actors.cli.arguments import parse_delay
from actors.cli.jobs import find_job
from actors.cli.logs import leave_outages_to_the_error
from actors.cli.modules import load_modules
from actors.cli.options import Args, Json, Kwargs, MoreModules, Name
from actors.cli.render import print_json


def send(
    name: Name,
    args: Args = "[]",
    kwargs: Kwargs = "{}",
    delay: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Wait before it may run: 500ms, 30s, 5m, 1h30m, 2d.")
    ] = None,
    eta: Annotated[
        str | None, typer.Option(metavar="TIME", help="The earliest time to run it: ISO 8601 with a time zone.")
    ] = None,
    modules: MoreModules = None,
    as_json: Json = False,
) -> None:
    """Send a message for a worker; nothing runs here.

    It returns once RabbitMQ has confirmed the message.
    """
    leave_outages_to_the_error()
    now = datetime.now(UTC)
    delay_ms = parse_delay(delay, eta, now=now)
    job = find_job(name, load_modules(modules), args, kwargs)
    message = job.actor.send_with_options(args=job.args, kwargs=job.kwargs, delay=delay_ms or None)
    due = (now + timedelta(milliseconds=delay_ms)).isoformat(timespec="milliseconds") if delay_ms else None
    where = broker.engine.where
    if as_json:
        sent = {
            "message_id": message.message_id,
            "actor": name,
            "queue": message.queue_name,
            "due": due,
            "broker": where,
        }
        print_json(sent)
    else:
        when = f", due {due}" if due else ""
        typer.echo(f"sent {name} to queue {message.queue_name} on {where} as message {message.message_id}{when}")
