"""What SQLite finds of a selection is what the selection says is meant."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from actors.brokers.sqlite import SCHEMA
from actors.dead_letters import Selection
from middleware import Letter
from middleware.stores.sqlite import SqliteFile
from tests.unit.brokers.sqlite.graveyard import found, letter, names, put_in_graves

words = st.sampled_from(["", "a", "b", "A", "ä", "a'", '"', "%", "\x00", "a\x00b"])
times = st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3)
collections = st.lists(words, max_size=2)
fields = st.fixed_dictionaries(
    dict.fromkeys(("actor", "reason", "error_type", "fingerprint", "message_id", "id"), words) | {"died": times}
)
selections = st.builds(
    Selection,
    actors=collections,
    reasons=collections,
    error_types=collections,
    fingerprints=collections,
    ids=collections,
    since=st.none() | times,
    until=st.none() | times,
)


@given(st.lists(fields, max_size=6), selections)
def test_sqlite_finds_what_is_meant_and_nothing_else(rows: list[dict[str, Any]], selection: Selection) -> None:
    letters: list[Letter] = [letter(f"m{number}", **row) for number, row in enumerate(rows)]
    with TemporaryDirectory() as folder:
        file = SqliteFile(Path(folder) / "actors.db", schema=SCHEMA)
        put_in_graves(file, *letters)
        meant = [each for each in sorted(letters, key=lambda each: each.died) if selection.matches(each)]
        assert names(found(file, selection)) == [each.message_id for each in meant]
        file.close()
