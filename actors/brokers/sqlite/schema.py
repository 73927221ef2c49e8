"""The broker's tables, in the file that it shares with the store and the schedules, and maybe with an application."""

from __future__ import annotations

# Times are milliseconds since the Unix epoch.
#
# A message is *ready* (`available` is 0, and nobody holds it), *delayed* (`available` is when it becomes ready) or
# *held* (`holder` is who has it). Each state has an index of its own, which the others are not in: however many are
# delayed or held, who looks for one that is ready does not meet them. Ids are never used twice: an ack that comes too
# late, of a message that is gone, can't hit another.
#
# `lost` is how many holders were lost with it. What one holder has is freed by the end of its one row, and kept by
# one update of that row, however much it is.
SCHEMA = (
    """
    CREATE TABLE IF NOT EXISTS actors_message (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        queue TEXT NOT NULL,
        priority INTEGER NOT NULL,
        available INTEGER NOT NULL,
        holder INTEGER,
        lost INTEGER NOT NULL,
        sent INTEGER NOT NULL,
        message_id TEXT NOT NULL,
        actor TEXT NOT NULL,
        body BLOB NOT NULL
    )
    """,
    """
    CREATE INDEX IF NOT EXISTS actors_message_ready ON actors_message (queue, priority DESC, id)
    WHERE available = 0 AND holder IS NULL
    """,
    "CREATE INDEX IF NOT EXISTS actors_message_delayed ON actors_message (queue, available) WHERE available > 0",
    "CREATE INDEX IF NOT EXISTS actors_message_held ON actors_message (holder) WHERE holder IS NOT NULL",
    # By id are found those that are delayed. In an index of all each would cost a page, in and out.
    "CREATE INDEX IF NOT EXISTS actors_message_named ON actors_message (message_id) WHERE available > 0",
    """
    CREATE TABLE IF NOT EXISTS actors_holder (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        until INTEGER NOT NULL,
        queue TEXT NOT NULL,
        worker TEXT NOT NULL
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS actors_dead_letter (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        letter TEXT NOT NULL,
        queue TEXT NOT NULL,
        message_id TEXT NOT NULL,
        actor TEXT NOT NULL,
        reason TEXT NOT NULL,
        error_type TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        died INTEGER NOT NULL,
        expires INTEGER,
        header TEXT NOT NULL,
        body BLOB NOT NULL
    )
    """,
    "CREATE INDEX IF NOT EXISTS actors_dead_letter_queue ON actors_dead_letter (queue, died, expires)",
    "CREATE INDEX IF NOT EXISTS actors_dead_letter_reason ON actors_dead_letter (reason, died)",
    "CREATE INDEX IF NOT EXISTS actors_dead_letter_actor ON actors_dead_letter (actor, died)",
    "CREATE INDEX IF NOT EXISTS actors_dead_letter_died ON actors_dead_letter (died)",
    "CREATE INDEX IF NOT EXISTS actors_dead_letter_letter ON actors_dead_letter (letter)",
    "CREATE INDEX IF NOT EXISTS actors_dead_letter_message ON actors_dead_letter (message_id)",
    "CREATE INDEX IF NOT EXISTS actors_dead_letter_expires ON actors_dead_letter (expires) WHERE expires IS NOT NULL",
    """
    CREATE TABLE IF NOT EXISTS actors_tick_run (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        pace TEXT NOT NULL,
        record BLOB NOT NULL
    )
    """,
    "CREATE INDEX IF NOT EXISTS actors_tick_run_newest ON actors_tick_run (pace, id)",
)
