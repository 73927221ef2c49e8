"""Idempotency records in Redis (6.2 or later) or Valkey: a string a key, and a Lua script an operation."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    ClusterDownError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from middleware.stores import records, seats
from middleware.stores.notes import MOST_NOTES, NOTE_MS, Abort
from middleware.stores.protocol import (
    OPEN,
    Alias,
    Answer,
    Claim,
    Kept,
    Outcome,
    Record,
    Refused,
    Request,
    State,
    StoreUnavailable,
)
from middleware.stores.seats import SeatAnswer, SeatRequest

# So many go into a call of a script: nobody else is served while it runs, and Lua takes 8,000 values at once at most.
BATCH = 500

_CANT_SERVE = (ClusterDownError, NoPermissionError, NoScriptError, OutOfMemoryError, ReadOnlyError)
# What redis-py has no class for, and what Redis 6 says in the middle of the error of a script.
_NOT_NOW = re.compile(r"\b(READONLY|OOM|MISCONF|CLUSTERDOWN|NOREPLICAS|MASTERDOWN|BUSY|NOPERM)\b")

T = TypeVar("T")


class _Script:
    """Lua files, one after the other, called by the digest of their text."""

    def __init__(self, *names: str) -> None:
        folder = Path(__file__).parent / "lua"
        self.source = "".join((folder / f"{name}.lua").read_text(encoding="utf-8") for name in names)
        # Redis names scripts so; nothing is kept safe by it.
        self.sha = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()


_BEGIN, _FINISH = _Script("judge", "heed", "begin"), _Script("finish")
_RENEW, _OVERRIDE, _ARRIVE, _RESTORE, _ABORT = map(_Script, ("renew", "override", "arrive", "restore", "abort"))
_SIT, _STAY, _LEAVE = map(_Script, ("sit", "stay", "leave"))
# What sit.lua is told of the rules.
_SEATING = [
    str(each)
    for each in (
        seats.GRACE_MS,
        seats.FIRST_PACE_MS,
        seats.SOONEST_MS,
        seats.HEAD_LATEST_MS,
        seats.LATEST_MS,
        seats.LATEST_FOR_EACH_MS,
        seats.LATEST_BY_PACE_MS,
    )
]
_Call = tuple[_Script, list[str], list[str]]


class RedisStore:
    """See :class:`~middleware.stores.protocol.Store`. Nothing connects before the first call.

    Args:
        url: ``redis://HOST:PORT/DB``, or ``rediss://…`` for TLS.
        prefix: put before the name of everything in the store, to keep environments apart.
        timeout_s: seconds to wait for an answer, or for a connection.
        client: called with *url* and options; returns the client. For tests, and for clients with needs of their own.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "actors:",
        timeout_s: float = 1.0,
        client: Callable[..., redis.Redis] = redis.Redis.from_url,
    ) -> None:
        # Every call can be repeated; one attempt more outlives the connections that a restarted server has closed.
        self._redis: Any = client(
            url,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
            decode_responses=True,
            encoding_errors="surrogatepass",
        )
        self._prefix = prefix
        self._fence = f"{prefix}fence"
        self._open = f"{prefix}open"
        self._aborts = f"{prefix}aborts"
        self._before_digest = str(len(_bytes(self._record(""))))

    @property
    def client(self) -> Any:
        """The client, with its pool of connections."""
        return self._redis

    @property
    def prefix(self) -> str:
        """What the name of everything in the store starts with."""
        return self._prefix

    def exchange(self, outcomes: Sequence[Outcome], requests: Sequence[Request]) -> tuple[list[bool], list[Answer]]:
        """Record *outcomes*, then answer *requests*, in one round trip."""
        ended, begun = _batches(outcomes), _batches(requests)
        replies = iter(self._run([*map(self._finish, ended), *map(self._begin, begun)]))
        counted = [is_counted for batch in ended for is_counted in _all_but(next(replies), len(batch))]
        return counted, [records.to_answer(*pair) for batch in begun for pair in zip(batch, next(replies), strict=True)]

    def renew(self, claims: Sequence[Claim]) -> list[bool]:
        """Extend the leases of *claims*; return for each whether it is still held."""
        return self._renew(claims, mark="")

    def mark(self, claim: Claim) -> bool:
        """Note that the work of *claim* starts, and extend its lease; return whether it is still held."""
        return self._renew([claim], mark="1")[0]

    def inspect(self, digest: str) -> Record | None:
        """Return the record of *digest*."""
        return self._inspect([digest])[0]

    def digest_of(self, message_id: str) -> str | None:
        """Return the digest of the key that a message with a key of its own asked for."""
        with available():
            digest: str | None = self._redis.get(_bytes(self._alias(message_id)))
        return digest

    def list_open(self, *, after: str = "", limit: int = 100) -> tuple[list[Record], str]:
        """Return a page of the records that are not done, and what to give as *after* for the next."""
        score, digest = _place(after)
        with available():
            # Those that expire in the same microsecond as the last one shown are fetched again, and left out if they
            # have been shown; one more is fetched, to know whether more follow.
            count = limit + 1 + (self._redis.zcount(self._open, score, score) if after else 0)
            found = self._redis.zrange(self._open, score, "+inf", byscore=True, offset=0, num=count, withscores=True)
        rest = [each for each in found if (each[1], each[0]) > (score, digest)]
        page = rest[:limit]
        there = [record for record in self._inspect([name for name, _ in page]) if record and record.state in OPEN]
        if len(rest) <= limit and len(found) < count:
            return there, ""
        return there, f"{page[-1][1]:.0f} {page[-1][0]}" if page else after

    def release(self, digest: str, *, force: bool = False) -> Record:
        """Free a key, so that the next message with it runs; return the record as it was."""
        return self._override(digest, State.RELEASED, "", force=force)

    def complete(self, digest: str, *, result: str = "", force: bool = False) -> Record:
        """Note that a key's work is done, so that it does not run again; return the record as it was."""
        return self._override(digest, State.DONE, result, force=force)

    def open_group(self, group: str, size: int, *, ttl_ms: int) -> None:
        """Note that *group* has *size* members."""
        members, arrived = map(_bytes, self._group(group))
        with available(), self._redis.pipeline(transaction=False) as pipeline:
            pipeline.set(members, size, px=ttl_ms).pexpire(arrived, ttl_ms).execute()

    def arrive(self, group: str, member: str) -> bool:
        """Note that *member* has arrived, however often; return whether all have."""
        return bool(self._run([(_ARRIVE, self._group(group), [member])])[0])

    def restore(self, kept: Sequence[Kept], aliases: Sequence[Alias], *, fence: int) -> list[bool]:
        """Take over what another store has *kept*, with its *aliases*."""
        batches = _batches(kept) or [[]]
        replies = iter(self._run([self._restore(batch, fence) for batch in batches]))
        with available(), self._redis.pipeline(transaction=False) as pipeline:
            for alias in aliases:
                pipeline.set(_bytes(self._alias(alias.message_id)), _bytes(alias.digest), nx=True, pxat=alias.expires)
            pipeline.execute()
        return [is_taken for batch in batches for is_taken in _all_but(next(replies), len(batch))]

    def abort(self, message_id: str, digests: Sequence[str]) -> Abort:
        """Note that a message is to be aborted, unless it has ended."""
        keys = [self._aborts, self._fence, *map(self._record, digests)]
        [found] = self._run([(_ABORT, keys, [message_id, str(NOTE_MS), str(MOST_NOTES)])])
        return Abort(found)

    def aborts(self, after: int, *, limit: int = 1_000) -> list[tuple[str, int]]:
        """Return messages that are to be aborted, each with the number of its note."""
        with available():
            found = self._redis.zrange(
                self._aborts, f"({after}", "+inf", byscore=True, offset=0, num=limit, withscores=True
            )
        return [(message_id, int(number)) for message_id, number in found]

    def sit(self, request: SeatRequest) -> SeatAnswer:
        """Give a seat to *request*, or a place in the line."""
        arguments = [request.owner, request.token, *map(str, (request.limit, request.lease_ms, request.age_ms))]
        [(is_taken, ahead, delay_ms)] = self._run([(_SIT, self._seats(request.name), arguments + _SEATING)])
        return SeatAnswer(bool(is_taken), ahead, delay_ms)

    def keep_seats(self, held: Sequence[SeatRequest]) -> list[bool]:
        """Extend the leases of *held*; return for each whether it is still held."""
        batches = _batches(held)
        calls: list[_Call] = []
        for batch in batches:
            arguments = [text for each in batch for text in (each.token, str(each.lease_ms), str(each.limit))]
            calls.append((_STAY, [self._seats(each.name)[0] for each in batch], arguments))
        replies = iter(self._run(calls))
        return [is_held for batch in batches for is_held in _all_but(next(replies), len(batch))]

    def leave_seat(self, seat: SeatRequest, held_ms: int | None) -> None:
        """Free *seat*, which was held for *held_ms* milliseconds; None if that is known already."""
        taken, _, _, pace = self._seats(seat.name)
        self._run([(_LEAVE, [taken, pace], [seat.token, "" if held_ms is None else str(held_ms), str(seats.PACE_MS)])])

    def now(self) -> int:
        """Return the store's time, in milliseconds since the Unix epoch."""
        with available():
            return _milliseconds(self._redis.time())

    def _finish(self, outcomes: Sequence[Outcome]) -> _Call:
        keys = [self._open, self._aborts, *(self._record(outcome.claim.request.digest) for outcome in outcomes)]
        arguments = [self._before_digest, *records.told_once(map(records.kind_of_outcome, outcomes))]
        for outcome in outcomes:
            arguments += (str(outcome.claim.fence), records.fields_of_ended(outcome))
        return _FINISH, keys, arguments

    def _begin(self, requests: Sequence[Request]) -> _Call:
        keys = [self._fence, self._open, self._aborts, *(self._record(request.digest) for request in requests)]
        keys += [self._alias(request.owner) for request in requests if request.key != request.owner]
        arguments = [self._before_digest, *records.told_once(map(records.kind_of_request, requests))]
        return _BEGIN, keys, arguments + [records.fields_of_running(request) for request in requests]

    def _renew(self, claims: Sequence[Claim], *, mark: str) -> list[bool]:
        calls: list[_Call] = []
        batches = _batches(claims)
        for batch in batches:
            keys = [self._open, *(self._record(claim.request.digest) for claim in batch)]
            arguments = [self._before_digest, *records.told_once(map(records.kind_of_claim, batch)), mark]
            for claim in batch:
                arguments += (str(claim.fence), records.fields_of_running(claim.request))
            calls.append((_RENEW, keys, arguments))
        replies = iter(self._run(calls))
        return [is_held for batch in batches for is_held in _all_but(next(replies), len(batch))]

    def _restore(self, kept: Sequence[Kept], fence: int) -> _Call:
        keys = [self._fence, self._open, *(self._record(each.record.digest) for each in kept)]
        arguments = [self._before_digest, str(fence)]
        for each in kept:
            is_open = "1" if each.record.state in OPEN else ""
            arguments += (records.to_text(each), str(each.record.expires), str(each.record.changed), is_open)
        return _RESTORE, keys, arguments

    def _override(self, digest: str, state: State, result: str, *, force: bool) -> Record:
        keys = [self._record(digest), self._fence, self._open]
        reply = self._run([(_OVERRIDE, keys, [state, result, "1" if force else "", digest])])[0]
        if reply == "running":
            raise Refused("its lease is alive: a worker is at it")
        if not reply:
            raise KeyError(digest)
        return records.to_record(digest, *reply)

    def _inspect(self, digests: Sequence[str]) -> list[Record | None]:
        # Not a transaction: Redis refuses those when its memory is full, even of reads.
        with available(), self._redis.pipeline(transaction=False) as pipeline:
            for name in (_bytes(self._record(digest)) for digest in digests):
                pipeline.get(name).pttl(name)
            *replies, time = pipeline.time().execute()
        now = _milliseconds(time)
        return [
            records.to_record(digest, text, now + left_ms) if text is not None and left_ms >= 0 else None
            for digest, text, left_ms in zip(digests, replies[::2], replies[1::2], strict=True)
        ]

    def _run(self, calls: Sequence[_Call]) -> list[Any]:
        """Return the replies to *calls*, made in one round trip, or in two where the server lacks a script."""
        if not calls:
            return []
        with available():
            replies = self._call(calls)
            for place, reply in enumerate(replies):
                if isinstance(reply, NoScriptError):
                    replies[place:] = self._call(calls[place:], whole=True)
                    break
            for reply in replies:
                if isinstance(reply, Exception):
                    raise reply
        return replies

    def _call(self, calls: Sequence[_Call], *, whole: bool = False) -> list[Any]:
        with self._redis.pipeline(transaction=False) as pipeline:
            for script, keys, arguments in calls:
                # Any but the last is sent whole: were it lacking, what is to follow it would happen before it.
                by_name = script is calls[-1][0] and not whole
                command, text = ("EVALSHA", script.sha) if by_name else ("EVAL", script.source)
                pipeline.execute_command(command, text, len(keys), *map(_bytes, keys), *map(_bytes, arguments))
            replies: list[Any] = pipeline.execute(raise_on_error=False)
        return replies

    def _record(self, digest: str) -> str:
        return f"{self._prefix}key:{digest}"

    def _alias(self, message_id: str) -> str:
        return f"{self._prefix}message:{message_id}"

    def _seats(self, name: str) -> list[str]:
        return [f"{self._prefix}{what}:{name}" for what in ("seats", "line", "looks", "pace")]

    def _group(self, group: str) -> list[str]:
        return [f"{self._prefix}group:{group}", f"{self._prefix}group:{group}:arrived"]


@contextmanager
def available() -> Iterator[None]:
    """Raise what Redis does not do just now as an outage of the store.

    Raises:
        StoreUnavailable: it does not answer, or can't serve.
    """
    try:
        yield
    except (RedisConnectionError, RedisTimeoutError) as error:
        raise StoreUnavailable(f"the store does not answer: {error}") from error
    except ResponseError as error:
        if isinstance(error, _CANT_SERVE) or _NOT_NOW.search(str(error)):
            raise StoreUnavailable(f"the store can't serve: {error}") from error
        raise


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _milliseconds(time: tuple[int, int]) -> int:
    seconds, microseconds = time
    return seconds * 1000 + microseconds // 1000


def _batches(items: Sequence[T]) -> list[Sequence[T]]:
    return [items[start : start + BATCH] for start in range(0, len(items), BATCH)]


def _all_but(refused: Sequence[int], count: int) -> list[bool]:
    """Return *count* times True, but for the places *refused*, from 1."""
    each = [True] * count
    for place in refused:
        each[place - 1] = False
    return each


def _place(after: str) -> tuple[float, str]:
    """Return the score and the digest that the cursor *after* names."""
    score, _, digest = after.partition(" ")
    return (int(score), digest) if after else (float("-inf"), "")
