"""``actors dead discard``."""

from __future__ import annotations

from typing import Annotated

import typer

from actors.cli.dead import words
from actors.cli.dead.asking import bar, must_ask, note, until_interrupted
from actors.cli.dead.selecting import (
    Actors,
    ErrorTypes,
    Fingerprints,
    Ids,
    Queues,
    Reasons,
    Since,
    Until,
    choose,
    command,
)
from actors.cli.exits import ExitStatus
from actors.cli.options import DEFAULT_TIMEOUT_S, Json, MoreModules, TimeoutS
from actors.cli.render import print_json, print_table
from actors.dead_letters import Dead


def discard(
    ids: Ids = None,
    queue: Queues = None,
    actor: Actors = None,
    reason: Reasons = None,
    error: ErrorTypes = None,
    fingerprint: Fingerprints = None,
    since: Since = None,
    until: Until = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would do.")] = False,
    timeout_s: TimeoutS = DEFAULT_TIMEOUT_S,
    modules: MoreModules = None,
    as_json: Json = False,
) -> None:
    """Drop dead letters for good.

    First it says how many there are, and of what they died. Prints a line for an audit on stderr for each. It ends with
    status 1 if it was interrupted.
    """
    asks = must_ask(yes=yes, dry_run=dry_run, as_json=as_json)
    chosen = choose(
        modules=modules,
        timeout_s=timeout_s,
        ids=ids,
        queues=queue,
        actors=actor,
        reasons=reason,
        errors=error,
        fingerprints=fingerprint,
        since=since,
        until=until,
    )
    at = words.now()
    found = chosen.letters.groups(chosen.selection)
    if not as_json:
        print_table(words.GROUP_HEADINGS, (words.group_row(group, at) for group in found.groups))
        keep = f"; to keep them in a file first: {command('export', chosen, out='FILE')}" if found.count else ""
        typer.echo(f"\n{found.count:,} dead letters to discard{keep}")
    gone, is_over = 0, True
    if found.count and not dry_run:
        if asks:
            typer.confirm(f"Discard {found.count:,} for good?", abort=True, err=True)
        with until_interrupted() as go_on, bar("discarding", found.count) as show:

            def drop(dead: Dead) -> None:
                nonlocal gone
                gone += 1
                show(gone)
                note("discard", dead)

            chosen.letters.discard(chosen.selection.before(at), drop, go_on)
            is_over = go_on()
    if as_json:
        print_json({"preview": words.groups_as_json(found), "discarded": gone})
    elif not dry_run:
        typer.echo(f"discarded {gone:,} dead letters")
    if not is_over:
        typer.echo("Error: interrupted. The rest is where it was.", err=True)
        raise typer.Exit(ExitStatus.FAILED)
