"""``actors dead export`` and ``actors dead import``."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO, TextIO

import typer

from actors.cli.audit import audit
from actors.cli.dead.asking import bar, until_interrupted
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
)
from actors.cli.exits import ExitStatus
from actors.cli.options import DEFAULT_TIMEOUT_S, Json, MoreModules, TimeoutS
from actors.cli.render import print_json
from actors.dead_letters import Buried, ImportTerms, Restored, line_of

_PLAIN_NAME = re.compile(r"[0-9A-Za-z_-]{1,100}")


def export(
    ids: Ids = None,
    queue: Queues = None,
    actor: Actors = None,
    reason: Reasons = None,
    error: ErrorTypes = None,
    fingerprint: Fingerprints = None,
    since: Since = None,
    until: Until = None,
    out: Annotated[
        str, typer.Option("--out", "-o", metavar="FILE", help="Where to write them, a line of JSON each; - is stdout.")
    ] = "-",
    bodies: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Also write each body, byte for byte, to a file named by the letter's id."),
    ] = None,
    timeout_s: TimeoutS = DEFAULT_TIMEOUT_S,
    modules: MoreModules = None,
) -> None:
    """Write dead letters to a file, from which import puts them back; they stay where they are.

    Undecodable ones are there, too, byte for byte.
    """
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
    if bodies is not None:
        bodies.mkdir(parents=True, exist_ok=True)
    count = 0
    with _writing(out) as stream, bar("exporting", None) as show:

        def write(buried: Buried) -> None:
            nonlocal count
            stream.write(f"{line_of(buried)}\n")
            if bodies is not None:
                (bodies / _file_name(buried.letter.id)).write_bytes(buried.body)
            count += 1
            show(count)

        chosen.letters.export(chosen.selection, write)
    typer.echo(f"exported {count:,} dead letters", err=True)


def restore(
    file: Annotated[str, typer.Argument(metavar="FILE", help="What export has written; - is stdin.")],
    queue: Queues = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Keep each for ACTORS_DEAD_LETTER_RETENTION_MS from now on, as new ones.")
    ] = False,
    timeout_s: TimeoutS = DEFAULT_TIMEOUT_S,
    modules: MoreModules = None,
    as_json: Json = False,
) -> None:
    """Put exported dead letters back, under their ids, for what is left of their retention.

    Those that are there already, and those that would have expired, are left out. Lines that can't be read are named;
    all others are put back. It ends with status 1 if there are such lines.
    """
    chosen = choose(modules=modules, timeout_s=timeout_s, queues=queue)
    problems: list[tuple[int, str]] = []

    def bad(number: int, why: str) -> None:
        problems.append((number, why))
        typer.echo(f"Error: line {number:,}: {why}", err=True)

    with until_interrupted() as is_wanted, _reading(file) as lines, bar("importing", None) as show:

        def go_on(so_far: Restored) -> bool:
            show(so_far.restored)
            return is_wanted()

        terms = ImportTerms(fresh=fresh, bad=bad, go_on=go_on)
        done = chosen.letters.restore(lines, terms, queues=chosen.selection.queues)
        is_over = is_wanted()
    audit(operation="import", file=file, restored=done.restored)
    if as_json:
        found = {name: getattr(done, name) for name in ("restored", "present", "expired", "bad", "lines")}
        print_json(found | {"problems": [{"line": number, "why": why} for number, why in problems]})
    else:
        expired = f", {done.expired:,} would have expired (--fresh puts them back)" if done.expired else ""
        typer.echo(f"put back {done.restored:,} dead letters; {done.present:,} were there already{expired}")
    if not is_over:
        typer.echo(f"Error: interrupted after line {done.lines:,}; the same import may be run again", err=True)
    if problems or not is_over:
        raise typer.Exit(ExitStatus.FAILED)


@contextmanager
def _writing(out: str) -> Iterator[TextIO]:
    if out == "-":
        yield sys.stdout
        sys.stdout.flush()
        return
    try:
        stream = Path(out).open("w", encoding="ascii")  # noqa: SIM115
    except OSError as error:
        raise typer.BadParameter(f"{out} can't be written: {error.strerror}", param_hint="--out") from None
    with stream:
        yield stream


@contextmanager
def _reading(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = Path(file).open("rb")  # noqa: SIM115
    except OSError as error:
        raise typer.BadParameter(f"{file} can't be read: {error.strerror}", param_hint="FILE") from None
    with stream:
        yield stream


def _file_name(letter_id: str) -> str:
    # Somebody else may have written the id.
    return letter_id if _PLAIN_NAME.fullmatch(letter_id) else hashlib.sha256(letter_id.encode()).hexdigest()
