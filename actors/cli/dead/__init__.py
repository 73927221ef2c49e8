"""``actors dead``: what has failed for good, and an operator's word on it."""

from __future__ import annotations

import typer

from actors.cli.dead.archiving import export, restore
from actors.cli.dead.discarding import discard
from actors.cli.dead.looking import list_dead, show
from actors.cli.dead.replaying import replay

app = typer.Typer(
    name="dead",
    help="Look at dead letters, replay or discard them, keep them in a file.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command("list")(list_dead)
app.command()(show)
app.command()(replay)
app.command()(discard)
app.command()(export)
app.command("import")(restore)
