"""``actors dead replay``."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Annotated

import typer

from actors.cli.audit import audit
from actors.cli.dead import words
from actors.cli.dead.asking import bar, must_ask, note, until_interrupted
from actors.cli.dead.selecting import (
    Actors,
    Chosen,
    ErrorTypes,
    Fingerprints,
    Ids,
    Queues,
    Reasons,
    Since,
    Until,
    choose,
)
from actors.cli.exits import ExitStatus
from actors.cli.options import DEFAULT_TIMEOUT_S, Json, MoreModules, TimeoutS
from actors.cli.records import printable
from actors.cli.render import print_json, print_table
from actors.dead_letters import Dead, Objection, Preview, Replayed, Terms

# How many letters that are kept are named.
NAMED = 20


def replay(
    ids: Ids = None,
    queue: Queues = None,
    actor: Actors = None,
    reason: Reasons = None,
    error: ErrorTypes = None,
    fingerprint: Fingerprints = None,
    since: Since = None,
    until: Until = None,
    rate: Annotated[
        float | None, typer.Option(min=0.01, metavar="N", help="Send N messages a second. Default: as fast as it goes.")
    ] = None,
    stop_after: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Stop after N that have failed again. Default: 10, and more than half of them."
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also those of actors that are not loaded, with arguments that do not fit…")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would do.")] = False,
    timeout_s: TimeoutS = DEFAULT_TIMEOUT_S,
    modules: MoreModules = None,
    as_json: Json = False,
) -> None:
    """Send messages of dead letters again, under their ids and keys.

    First it says how many there are, and of what they died. What could not work is kept, with why. It stops when
    messages that it has sent fail again; with --rate it has the time to see that. It ends with status 1 if it stopped,
    or kept some.
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
    preview = chosen.letters.preview(chosen.selection, force=force)
    if not as_json:
        _print_preview(preview)
    if dry_run or not preview.ready:
        _end(preview, None, Counter(), as_json=as_json)
    if asks:
        typer.confirm(f"Replay {preview.ready:,}?", abort=True, err=True)
    done, kept = _replay(chosen, preview, Terms(rate=rate, stop_after=stop_after, force=force))
    _end(preview, done, kept, as_json=as_json)


def _replay(chosen: Chosen, preview: Preview, terms: Terms) -> tuple[Replayed, Counter[str]]:
    """Replay what was there when *preview* was made."""
    kept, so_far = Counter[str](), Replayed()

    def keep(_: Dead, objection: Objection) -> None:
        kept[objection.kind] += 1

    with until_interrupted() as is_wanted, bar("replaying", preview.ready) as show:

        def go_on(now: Replayed) -> bool:
            nonlocal so_far
            so_far = now
            show(now.replayed)
            return is_wanted()

        try:
            done = so_far = chosen.letters.replay(
                chosen.selection.before(preview.at),
                replace(terms, kept=keep, go_on=go_on, done=lambda dead: note("replay", dead, echo=False)),
            )
        finally:
            audit(operation="replay", replayed=so_far.replayed, kept=so_far.kept, stopped=so_far.stopped or None)
    return done, kept


def _print_preview(preview: Preview) -> None:
    now = preview.at
    if not preview.groups.count:
        typer.echo("no dead letter matches")
        return
    print_table(words.GROUP_HEADINGS, (words.group_row(group, now) for group in preview.groups.groups))
    kept = preview.objections.total()
    typer.echo(f"\n{preview.groups.count:,} dead letters: {preview.ready:,} to replay, {kept:,} to keep")
    for dead, objection in preview.examples[:NAMED]:
        forced = "; --force replays it" if objection.yields else ""
        typer.echo(f"kept: {printable(dead.letter.id)} ({objection.kind}): {printable(objection.why)}{forced}")
    for kind, number in preview.objections.items():
        typer.echo(f"kept as {kind}: {number:,}")


def _end(preview: Preview, done: Replayed | None, kept: Counter[str], *, as_json: bool) -> None:
    if as_json:
        outcome = (
            {
                "replayed": done.replayed,
                "kept": dict(kept),
                "failed_again": done.relapsed,
                "stopped": done.stopped or None,
            }
            if done is not None
            else None
        )
        print_json({"preview": words.preview_as_json(preview), "outcome": outcome})
    elif done is not None:
        typer.echo(f"replayed {done.replayed:,} dead letters")
    if done is not None and done.stopped:
        typer.echo(f"Error: stopped: {done.stopped}. What was not replayed is where it was.", err=True)
    failed = bool(done.stopped or done.kept) if done is not None else bool(preview.objections)
    raise typer.Exit(ExitStatus.FAILED if failed else ExitStatus.OK)
