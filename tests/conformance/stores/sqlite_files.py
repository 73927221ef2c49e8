"""Stores in files that something is to be wrong with."""

from pathlib import Path

import pytest

from middleware.stores import Ending, Store, StoreUnavailable
from middleware.stores.sqlite import SCHEMA, SqliteFile, SqliteStore
from tests.conformance.stores.subject import begin, claim, finish, request


def file_at(path: Path, timeout_s: float = 10) -> SqliteFile:
    return SqliteFile(path, schema=SCHEMA, timeout_s=timeout_s)


def store_at(path: Path, timeout_s: float = 10) -> SqliteStore:
    return SqliteStore(file_at(path, timeout_s))


def refusal(store: Store) -> str:
    """What the store says in place of an answer."""
    with pytest.raises(StoreUnavailable) as caught:
        begin(store, request("refused"))
    return str(caught.value)


def fill(path: Path, count: int) -> None:
    """Record that *count* keys are done, and leave no log."""
    file = file_at(path)
    store = SqliteStore(file)
    for number in range(count):
        finish(store, claim(store, key=f"k{number}"), Ending.DONE, result=f"result {number}" * 20)
    file.close()
