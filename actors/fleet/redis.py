"""A fleet in Redis (6.2 or later) or Valkey."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from actors.fleet.protocol import MOST_EVENTS, MOST_MEMBERS, Interest, Kept
from middleware.stores.redis import RedisStore, available

# How long events are kept after the last one, in milliseconds.
KEEP_EVENTS_MS = 60 * 60 * 1000
# So many events go into one call: nobody else is served while it runs.
BATCH = 500


def _script(name: str) -> str:
    return (Path(__file__).parent / "lua" / f"{name}.lua").read_text(encoding="utf-8")


_BEAT, _WANT, _PUBLISH = map(_script, ("beat", "want", "publish"))


class RedisFleet:
    """See :class:`~actors.fleet.protocol.Fleet`.

    Two keys have all processes, and a stream the events; whatever nobody renews expires.

    Args:
        store: whose Redis, connections and prefix it uses.
    """

    def __init__(self, store: RedisStore) -> None:
        self._redis: Any = store.client
        names = ("heard", "told", "watched", "followed", "events")
        self._heard, self._told, self._watched, self._followed, self._events = (
            f"{store.prefix}fleet:{name}" for name in names
        )

    def beat(self, member: str, text: str, *, keep_ms: int) -> Interest:
        """Keep *text* as what *member* tells of itself."""
        keys = (self._heard, self._told, self._watched, self._followed)
        watched, followed = self._call(_BEAT, keys, member, text, keep_ms, MOST_MEMBERS)
        return Interest(bool(watched), bool(followed))

    def leave(self, member: str) -> None:
        """Forget *member*."""
        with available(), self._redis.pipeline(transaction=False) as pipeline:
            pipeline.zrem(self._heard, member).hdel(self._told, member).execute()

    def members(self) -> Sequence[Kept]:
        """Return what is kept of each process."""
        with available(), self._redis.pipeline(transaction=False) as pipeline:
            pipeline.time().zrevrange(self._heard, 0, MOST_MEMBERS - 1, withscores=True).hgetall(self._told)
            (seconds, microseconds), heard, told = pipeline.execute()
        now = seconds * 1000 + microseconds // 1000
        return [Kept(member, told[member], max(0, now - int(at))) for member, at in heard if member in told]

    def interest(self) -> Interest:
        """Return what is wanted."""
        with available():
            watched, followed = self._redis.mget(self._watched, self._followed)
        return Interest(watched is not None, followed is not None)

    def want(self, interest: Interest, *, for_ms: int) -> None:
        """Let all processes know of *interest*."""
        wanted = ((interest.watched, self._watched), (interest.followed, self._followed))
        keys = [key for is_wanted, key in wanted if is_wanted]
        if keys:
            self._call(_WANT, keys, for_ms)

    def publish(self, events: Sequence[str]) -> None:
        """Add *events*."""
        for start in range(0, len(events), BATCH):
            self._call(_PUBLISH, [self._events], MOST_EVENTS, KEEP_EVENTS_MS, *events[start : start + BATCH])

    def newest(self, limit: int) -> tuple[Sequence[str], str]:
        """Return the newest events, and the cursor of what comes after them."""
        with available():
            # One at least is looked at, for its place.
            found = self._redis.xrevrange(self._events, count=max(1, limit))
        cursor = found[0][0] if found else "0"
        return [fields["event"] for _, fields in reversed(found[:limit])], cursor

    def after(self, cursor: str, *, limit: int) -> tuple[Sequence[str], str]:
        """Return the events after *cursor*, and the next cursor."""
        with available():
            found = self._redis.xrange(self._events, min=f"({cursor}", count=limit)
        return [fields["event"] for _, fields in found], found[-1][0] if found else cursor

    def _call(self, script: str, keys: Sequence[str], *arguments: object) -> Any:
        # Whole and not by its digest: that is a few hundred bytes, and one round trip also after a restart of Redis.
        with available():
            return self._redis.eval(script, len(keys), *keys, *arguments)
