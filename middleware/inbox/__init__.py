"""A transactional inbox and outbox in the user's own SQL database."""

from middleware.inbox.database import InboxMisused
from middleware.inbox.entry import Entry
from middleware.inbox.inbox import Inbox

__all__ = ["Entry", "Inbox", "InboxMisused"]
