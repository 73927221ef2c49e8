"""Records in the form that Redis keeps them in, and what the scripts are told of them.

A record is a JSON object with the fields of :class:`~middleware.stores.protocol.Record`, of which those are left out
that say nothing: a key that is the owner's own id, an empty fingerprint or result, what only a running record has.
``token`` names the delivery that holds it, and ``unstarted`` says that no loss is to be blamed on it. ``fence`` comes
first, where a script finds it without reading the rest. The fields that a request knows come from here, ready to be put
in: the scripts read a record only where there is one already.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from json.encoder import encode_basestring as _quoted
from typing import Any

from middleware.stores.protocol import (
    ABORTED,
    OPEN,
    Answer,
    Claim,
    Ending,
    Kept,
    Outcome,
    Record,
    Request,
    State,
    Verdict,
)

Kind = tuple[str | int | bool, ...]

# Text that isn't UTF-8 is kept as it is: one bad message must not fail the others of its batch.
_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def told_once(kinds: Iterable[Kind]) -> tuple[str, str]:
    """Return the *kinds* that differ, and the number of each one's, from 1; both as JSON."""
    numbers: dict[Kind, int] = {}
    each = [numbers.setdefault(kind, len(numbers) + 1) for kind in kinds]
    return _json(list(numbers)), _json(each)


def kind_of_request(request: Request) -> Kind:
    """Return what begin.lua is told once of all requests that have it in common."""
    aliased = request.key != request.owner
    return request.lease_ms, request.ttl_ms, request.max_losses, request.park, request.hold, request.lost, aliased


def kind_of_claim(claim: Claim) -> Kind:
    """Return what renew.lua is told once of all claims that have it in common."""
    return claim.request.lease_ms, claim.request.ttl_ms, claim.lost, claim.retries


def kind_of_outcome(outcome: Outcome) -> Kind:
    """Return what finish.lua is told once of all outcomes that have it in common."""
    claim, ending = outcome.claim, outcome.ending
    if ending is Ending.DONE:
        return "done", claim.request.ttl_ms, 0, 0, 0, '""', False
    if ending is Ending.FORGOTTEN:
        return "released", claim.request.ttl_ms, 0, 0, 0, '""', False
    aborted = ending is Ending.ABORTED
    error = _quoted(ABORTED if aborted else outcome.error)
    if aborted or ending is Ending.FAILED:
        return "failed", claim.request.ttl_ms, 0, outcome.retries, claim.lost, error, aborted
    retries = claim.retries if ending is Ending.ABANDONED else outcome.retries
    return "waiting", claim.request.ttl_ms, outcome.due_ms, retries, claim.lost, error, False


def fields_of_running(request: Request) -> str:
    """Return the fields that a record of *request* has while it runs."""
    replayed = f',"replayed":{request.replayed}' if request.replayed else ""
    return f'{_fields(request)}{replayed},"token":{_quoted(request.token)}'


def fields_of_ended(outcome: Outcome) -> str:
    """Return the fields that *outcome* gives its record."""
    fields = _fields(outcome.claim.request)
    if outcome.ending is Ending.DONE and outcome.result:
        return f'{fields},"result":{_quoted(outcome.result)}'
    return fields


def to_answer(request: Request, reply: Any) -> Answer:
    """Return the answer to *request* that *reply* of begin.lua means."""
    if isinstance(reply, int):
        return Answer(Verdict.RUN, reply, 0, 0, request.owner, request.lease_ms)
    first, lost, retries, *others = reply
    if isinstance(first, int):
        return Answer(Verdict.RUN, first, lost, retries, request.owner, request.lease_ms)
    return Answer(Verdict(first), 0, lost, retries, *others)


def to_record(digest: str, text: str, expires: int) -> Record:
    """Return the record that *text* is; *expires* is in milliseconds since the Unix epoch."""
    fields = {name: value for name, value in json.loads(text).items() if name in Record.__slots__}
    fields["state"] = State(fields["state"])
    return Record(digest=digest, expires=expires, **{"key": fields["owner"], **fields})


def to_text(kept: Kept) -> str:
    """Return the text that :func:`to_record` returns the record of."""
    record, parts = kept.record, []
    if record.key != record.owner:
        parts.append(f',"key":{_quoted(record.key)}')
    for name in ("fingerprint", "result", "error"):
        if value := getattr(record, name):
            parts.append(f',"{name}":{_quoted(value)}')
    if record.replays:
        parts.append(f',"replays":{record.replays}')
    if record.state in OPEN:
        parts.append(f',"until":{record.until},"lost":{record.lost},"retries":{record.retries}')
    if kept.token:
        parts.append(f',"token":{_quoted(kept.token)}')
    if kept.unstarted:
        parts.append(',"unstarted":true')
    head = f'{{"fence":{record.fence},"state":"{record.state}","owner":{_quoted(record.owner)}'
    return f'{head},"scope":{_quoted(record.scope)},"changed":{record.changed}{"".join(parts)}}}'


def _fields(request: Request) -> str:
    text = f'"owner":{_quoted(request.owner)},"scope":{_quoted(request.scope)}'
    if request.key != request.owner:
        text += f',"key":{_quoted(request.key)}'
    if request.fingerprint:
        text += f',"fingerprint":{_quoted(request.fingerprint)}'
    if request.replays:
        text += f',"replays":{request.replays}'
    return text
