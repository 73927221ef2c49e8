"""The keys of retries, which wait with them."""

from __future__ import annotations

import logging
from collections.abc import Callable

from actors.brokers.broker import Broker
from actors.brokers.engine import Engine
from actors.brokers.inquiry import Delayed
from middleware.keys import digest
from middleware.stores import Refused, State, Store, StoreUnavailable

log = logging.getLogger(__name__)


def free(broker: Broker[Engine], find_store: Callable[[], Store], message: Delayed) -> None:
    """Free the key of *message* if it is a retry: until that is due, its record lets nothing run.

    Where the store can't be asked, that is logged, and the key stays as it is.

    Args:
        broker: knows its actor.
        find_store: called for the store.
        message: a delayed message.
    """
    actor = broker.actors.get(message.actor or "")
    scope = getattr(getattr(actor, "policy", None), "scope", message.actor or "")
    try:
        store = find_store()
        for name in (store.digest_of(message.message_id), digest(scope, message.message_id)):
            record = store.inspect(name) if name is not None else None
            if record is not None and record.state is State.WAITING and record.owner == message.message_id:
                store.release(record.digest)
    except (StoreUnavailable, Refused, KeyError) as error:
        log.warning("message %s: if its key waits for a retry, it waits on: %s", message.message_id, error)
