"""Dead letters in a file: whatever is done with them is a transaction, and to look at them keeps nobody waiting."""

from actors.dead_letters.sqlite.graves import SqliteGraves

__all__ = ["SqliteGraves"]
