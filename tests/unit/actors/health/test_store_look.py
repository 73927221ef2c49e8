"""Looks at the store."""

import logging
import time
from typing import Any

import pytest

from actors.health.store_look import NOBODY, SILENT_FOR_S, StoreLook
from middleware.stores import StoreUnavailable
from services.deadline import until


class Store:
    """What a look asks of a store; it may be away."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    def inspect(self, digest: str) -> None:
        assert digest == NOBODY
        if self.error is not None:
            raise self.error


@pytest.fixture
def store() -> Any:
    return Store()


def test_a_store_is_not_there_before_it_has_answered_and_after_it_has_failed(
    store: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    changes: list[str] = []
    look = StoreLook(lambda: store, on_change=lambda: changes.append(look.problem(time.monotonic())), every_s=0.01)
    assert look.problem(time.monotonic()) == "it has not answered yet"

    look.start()
    until(lambda: not look.problem(time.monotonic()), seconds=5, what="an answer")
    store.error = StoreUnavailable("the store does not answer")
    until(lambda: look.problem(time.monotonic()) == "the store does not answer", seconds=5, what="a failure")
    store.error = None
    until(lambda: not look.problem(time.monotonic()), seconds=5, what="an answer")
    until(lambda: len(changes) == 3, seconds=5, what="a word of all three")
    look.end()

    assert changes == ["", "the store does not answer", ""]
    assert caplog.messages == [
        "messages that need the store wait: the store does not answer",
        "the store can be used again",
    ]


def test_a_look_that_takes_for_ever_is_no_answer(store: Any) -> None:
    look = StoreLook(lambda: store)

    assert "it has not answered for" in look.problem(time.monotonic() + SILENT_FOR_S + 1)
