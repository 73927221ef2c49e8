"""``actors idempotency``: what became of keys, and an operator's word on them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated, NoReturn

import typer

from actors.assembly import broker, settings, store
from actors.brokers.nodes import mask_password
from actors.cli.audit import audit
from actors.cli.exits import ExitStatus
from actors.cli.modules import load_modules
from actors.cli.options import Json, MoreModules
from actors.cli.records import HEADINGS, duration, moment, printable, record_as_json, record_details, record_row
from actors.cli.render import print_json, print_table
from actors.configuration import variable
from actors.encoding import dumps
from actors.json_forms import Refused as NotJson
from middleware.keys import digest
from middleware.results import MAX_RESULT_BYTES
from middleware.stores import Record, Refused, State, Store, StoreUnavailable

app = typer.Typer(
    name="idempotency",
    help="Look at idempotency keys, and free them or call them done.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

# What a filter is applied to at a time, at least.
_PAGE = 100


class OpenState(StrEnum):
    """The states that are listed."""

    RUNNING = State.RUNNING
    WAITING = State.WAITING
    FAILED = State.FAILED
    UNKNOWN = State.UNKNOWN


Key = Annotated[
    str,
    typer.Argument(
        metavar="KEY",
        help="A digest as list prints it, or a message id; with --actor the key itself.",
        show_default=False,
    ),
]
Scope = Annotated[
    str | None, typer.Option("--actor", "--scope", metavar="NAME", help="The actor, or the scope, of the key.")
]
Force = Annotated[
    bool, typer.Option("--force", help="Even while a worker is at it; what that worker does will not count.")
]


@app.command("list")
def list_open(
    state: Annotated[OpenState | None, typer.Option(help="Only keys in this state.")] = None,
    scope: Scope = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, metavar="N", help="How many to list at most.")] = 100,
    after: Annotated[str, typer.Option(metavar="CURSOR", help="Go on where a page ended, as its last line says.")] = "",
    modules: MoreModules = None,
    as_json: Json = False,
) -> None:
    """List the keys that are not done, a page at a time.

    Those that are forgotten first come first. Keys that are done are not listed; show finds them. It never changes
    anything.
    """
    load_modules(modules)
    states = State if state is None else [State(state)]
    with _opened() as opened:
        found, following = _page(
            opened,
            lambda record: record.state in states and scope in (None, record.scope),
            limit=limit,
            after=after,
        )
        now = opened.now()
    if as_json:
        print_json(
            {"now": moment(now), "keys": [record_as_json(record) for record in found], "next": following or None}
        )
        return
    print_table(HEADINGS, (record_row(record, now) for record in found))
    if following:
        given = {"--state": state, "--actor": scope, "--limit": str(limit), "--after": following}
        options = [word for option, value in given.items() if value is not None for word in (option, value)]
        more = [word for module in modules or () for word in ("-m", module)]
        typer.echo(f"\nnext page: {shlex.join(['actors', 'idempotency', 'list', *options, *more])}")


@app.command()
def show(key: Key, scope: Scope = None, modules: MoreModules = None, as_json: Json = False) -> None:
    """Show all that is known of a key, done or not.

    It never changes anything. It ends with status 1 if there is no such key.
    """
    load_modules(modules)
    with _opened() as opened:
        record = _find(opened, key, scope)
        now = opened.now()
    if as_json:
        print_json(record_as_json(record) | {"now": moment(now)})
    else:
        print_table(("field", "value"), record_details(record, now))


@app.command()
def release(
    key: Key, scope: Scope = None, force: Force = False, modules: MoreModules = None, as_json: Json = False
) -> None:
    """Free a key, so that the next message with it runs.

    Prints a line for an audit on stderr. It ends with status 1 if there is no such key, or a worker is at it.
    """
    load_modules(modules)
    _override(
        "release", key, scope, lambda opened, each: opened.release(each, force=force), forced=force, as_json=as_json
    )


@app.command()
def complete(
    key: Key,
    scope: Scope = None,
    result: Annotated[
        str | None, typer.Option(metavar="JSON", help="What whoever waits for its result gets; by default null.")
    ] = None,
    force: Force = False,
    modules: MoreModules = None,
    as_json: Json = False,
) -> None:
    """Call a key done, so that it does not run again.

    Prints a line for an audit on stderr. It ends with status 1 if there is no such key, or a worker is at it.
    """
    kept = _result(result)
    load_modules(modules)
    _override(
        "complete",
        key,
        scope,
        lambda opened, each: opened.complete(each, result=kept, force=force),
        forced=force,
        as_json=as_json,
    )


def _override(
    operation: str,
    key: str,
    scope: str | None,
    change: Callable[[Store, str], Record],
    *,
    forced: bool,
    as_json: bool,
) -> None:
    """Let *change* do the *operation* to the record of *key*, and say so."""
    with _opened() as opened:
        found = _find(opened, key, scope)
        try:
            before = change(opened, found.digest)
        except KeyError:
            _not_found(key)
        except Refused:
            _busy(opened, found)
        except StoreUnavailable as error:
            _note(operation, found, "unsure", forced=forced)
            raise StoreUnavailable(f"{error}; the {operation} may have happened all the same: look with show") from None
        _note(operation, before, "done", forced=forced)
        if as_json:
            after = opened.inspect(found.digest)
            print_json(
                {"before": record_as_json(before), "after": record_as_json(after) if after is not None else None}
            )
            return
    follows = {"release": "the next message with it runs", "complete": "it does not run again"}[operation]
    typer.echo(f"{operation}d {printable(before.scope)} {printable(before.key)}, which was {before.state}: {follows}")


def _note(operation: str, record: Record, outcome: str, *, forced: bool) -> None:
    """Leave a line on what happened to *record*, given as it was before."""
    audit(
        operation=operation,
        outcome=outcome,
        digest=record.digest,
        scope=record.scope,
        key=record.key,
        before=record.state,
        message_id=record.owner,
        forced=forced,
    )


def _page(store: Store, wanted: Callable[[Record], bool], *, limit: int, after: str) -> tuple[list[Record], str]:
    """Return the first *limit* records after *after* that are *wanted*, and what to give as *after* for the next."""
    found: list[Record] = []
    size = max(limit, _PAGE)
    while True:
        try:
            records, following = store.list_open(after=after, limit=size)
        except ValueError:
            problem = f"{after!r} is no place to go on from; take it from the last line of a page"
            raise typer.BadParameter(problem, param_hint="--after") from None
        places = [place for place, record in enumerate(records) if wanted(record)]
        room = limit - len(found)
        if len(places) > room:
            # A cursor is the end of a page only: take the same page again, up to the last record that is printed.
            size = places[room - 1] + 1
            continue
        found += (records[place] for place in places)
        if len(found) == limit or not following:
            return found, following
        after, size = following, max(limit, _PAGE)


def _find(store: Store, key: str, scope: str | None) -> Record:
    """Return the record that *key* means; without any the command ends."""
    alias = store.digest_of(key)
    record = store.inspect(key) or (store.inspect(alias) if alias is not None else None)
    if record is None or scope not in (None, record.scope):
        record = _find_in(store, key, scope)
    return record if record is not None else _not_found(key)


def _find_in(store: Store, key: str, scope: str | None) -> Record | None:
    """Return the record of *key* in *scope*; without a scope *key* is the id of a message to a loaded actor."""
    if scope is not None:
        return store.inspect(digest(scope, key))
    records = (store.inspect(digest(actor_name, key)) for actor_name in broker.actors)
    # A key of an actor's own could be the same text by chance.
    return next((record for record in records if record is not None and record.owner == key), None)


def _not_found(key: str) -> NoReturn:
    where, ttl = mask_password(settings().store_url), duration(settings().idempotency_ttl_ms)
    _end(
        f"{key!r} is not known in {where}. KEY is a digest as actors idempotency list prints it, a message id (of an "
        "actor that is loaded, or given with --actor), or with --actor the key itself. Unless its actor says "
        f"otherwise, a key that is done is forgotten {ttl} later ({variable('idempotency_ttl_ms')}).",
        ExitStatus.FAILED,
    )


def _busy(store: Store, found: Record) -> NoReturn:
    record = store.inspect(found.digest) or found
    left = duration(record.until - store.now())
    _end(
        f"a worker is at {record.scope} {record.key!r}: its lease, held by message {record.owner}, lasts {left} more "
        "and is renewed while it works. Wait, or give --force: what that worker does will then not count.",
        ExitStatus.FAILED,
    )


def _end(problem: str, status: ExitStatus) -> NoReturn:
    typer.echo(f"Error: {problem}", err=True)
    raise typer.Exit(status)


@contextmanager
def _opened() -> Iterator[Store]:
    """Give the store; one that does not answer ends the command."""
    try:
        yield store()
    except StoreUnavailable as error:
        _end(f"{mask_password(settings().store_url)}: {error}", ExitStatus.UNREACHABLE)


def _result(given: str | None) -> str:
    """Return the result to keep, in the form that an actor's own has."""
    try:
        value = json.loads(given) if given is not None else None
        encoded = dumps({"value": value})
    except (ValueError, RecursionError, NotJson) as error:
        raise typer.BadParameter(f"not JSON ({error}); write '42' or '{{\"id\": 7}}'", param_hint="--result") from None
    if len(encoded) > MAX_RESULT_BYTES:
        problem = f"{len(encoded):,} bytes, over the limit of {MAX_RESULT_BYTES:,}; store the data and give its id"
        raise typer.BadParameter(problem, param_hint="--result")
    return encoded.decode() if value is not None else ""
