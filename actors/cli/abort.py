"""``actors abort``."""

from __future__ import annotations

from typing import Annotated

import typer

from actors import aborting
from actors.assembly import settings
from actors.brokers.nodes import mask_password
from actors.cli.audit import audit
from actors.cli.exits import ExitStatus
from actors.cli.modules import load_modules
from actors.cli.options import Json, MoreModules
from actors.cli.records import printable
from actors.cli.render import print_json
from middleware.stores import Abort, StoreUnavailable

MessageId = Annotated[str, typer.Argument(metavar="MESSAGE_ID", help="The id of the message.", show_default=False)]

_MEANINGS = {
    Abort.WAITING: "it waited, and will not run",
    Abort.RUNNING: "it runs, and is interrupted within a second or two, unless it ends before that",
    Abort.ENDED: "it has ended already, and nothing has changed",
    Abort.UNKNOWN: "nothing is known of it; if it waits, it will not run, and what runs without a key is interrupted",
}


def abort(message_id: MessageId, modules: MoreModules = None, as_json: Json = False) -> None:
    """End a message that waits or runs, whichever worker has it.

    It is not tried again, and is no dead letter. It ends with status 1 if the message has ended already.
    """
    load_modules(modules)
    try:
        found = aborting.abort(message_id)
    except StoreUnavailable as error:
        audit(operation="abort", outcome="unsure", message_id=message_id)
        typer.echo(f"Error: {mask_password(settings().store_url)}: {error}", err=True)
        raise typer.Exit(ExitStatus.UNREACHABLE) from None
    audit(operation="abort", outcome="nothing" if found is Abort.ENDED else "done", message_id=message_id, before=found)
    if as_json:
        print_json({"message_id": message_id, "found": found})
    else:
        typer.echo(f"message {printable(message_id)}: {_MEANINGS[found]}")
    if found is Abort.ENDED:
        raise typer.Exit(ExitStatus.FAILED)
