"""Lets something follow when all messages of a group have succeeded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import dramatiq
from dramatiq.middleware import GroupCallbacks as DramatiqGroupCallbacks
from dramatiq.rate_limits import RateLimiterBackend

from middleware.stores import Store


class NotABarrier(TypeError):
    """The store of groups is used to limit a rate, or to wait for a group."""


class GroupCallbacks(DramatiqGroupCallbacks):
    """Dramatiq's completion callbacks of groups, where each member counts once, however often it is delivered.

    Dramatiq counts down, and a member that is delivered twice stands for another that has not run. Here the store
    keeps who has arrived. A member that comes again when all have sends the callbacks once more, since those of the
    first time may be lost; they keep their message ids, by which the copies are known and do not run.

    Args:
        store: called for the store.
        barrier_ttl: how long a group may take, in milliseconds; what has not arrived by then never completes it.
    """

    def __init__(self, *, store: Callable[[], Store], barrier_ttl: int = 86_400_000) -> None:
        super().__init__(_Groups(store), barrier_ttl=barrier_ttl)
        self._store = store

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: dramatiq.MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        """Note that a member has succeeded; enqueue what follows its group if all have.

        Raises:
            StoreUnavailable: whether it was noted is not known; it can be repeated.
        """
        if exception is not None or message.failed:
            return
        group = message.options.get("group_completion_uuid")
        callbacks = message.options.get("group_completion_callbacks")
        if group and callbacks and self._store().arrive(group, message.message_id):
            for callback in callbacks:
                broker.enqueue(dramatiq.Message(**callback))


class _Groups(RateLimiterBackend):
    """What ``group.run()`` takes for a barrier's backend: it can open a group, and nothing else."""

    def __init__(self, store: Callable[[], Store]) -> None:
        self._store = store

    def add(self, key: str, value: int, ttl: int) -> bool:
        """Note that the group *key* has *value* members, for *ttl* milliseconds."""
        self._store().open_group(key, value, ttl_ms=ttl)
        return True

    def _refuse(self, *args: object, **kwargs: object) -> NoReturn:
        raise NotABarrier(
            "the backend of GroupCallbacks only opens groups; "
            "give a rate limiter or a barrier one of dramatiq.rate_limits.backends"
        )

    incr = decr = incr_and_sum = wait = wait_notify = _refuse
