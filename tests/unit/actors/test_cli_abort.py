"""`actors abort` on a store in memory."""

from __future__ import annotations

import json

import pytest

from middleware.keys import digest
from middleware.stores import Ending, MemoryStore, StoreUnavailable
from tests.conformance.stores.subject import claim, finish
from tests.unit.actors.conftest import Application

TASKS = """
    from actors import actor

    @actor
    def charge(order_id: int) -> None: ...
"""


@pytest.fixture
def store(application: Application, monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    store = MemoryStore()
    monkeypatch.setattr("actors.aborting.store", lambda: store)
    return store


def test_a_message_of_a_loaded_actor_is_aborted(application: Application, store: MemoryStore) -> None:
    application.write("shop_tasks", TASKS)
    claim(store, key="m1", owner="m1", digest=digest("charge", "m1"))
    done = application.actors("abort", "m1", "-m", "shop_tasks")
    assert done.stdout == "message m1: it runs, and is interrupted within a second or two, unless it ends before that\n"
    audited = json.loads(done.stderr.removeprefix("audit: "))
    assert (audited["operation"], audited["outcome"], audited["message_id"]) == ("abort", "done", "m1")
    assert [message_id for message_id, _ in store.aborts(0)] == ["m1"]


def test_what_is_found_is_told_in_json(application: Application, store: MemoryStore) -> None:
    assert application.json("abort", "nobody's") == {"message_id": "nobody's", "found": "unknown"}


def test_a_message_that_has_ended_is_an_error(application: Application, store: MemoryStore) -> None:
    application.write("shop_tasks", TASKS)
    finish(store, claim(store, key="m1", owner="m1", digest=digest("charge", "m1")), Ending.DONE)
    ended = application.actors("abort", "m1", "-m", "shop_tasks")
    assert ended.exit_code == 1
    assert ended.stdout == "message m1: it has ended already, and nothing has changed\n"


def test_a_store_that_does_not_answer_ends_the_command(
    application: Application, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: object) -> None:
        raise StoreUnavailable("it is silent")

    monkeypatch.setattr(store, "abort", silent)
    refused = application.actors("abort", "m1")
    assert refused.exit_code == 3
    assert "message m1 may run on; abort it again later: it is silent" in refused.stderr
