from __future__ import annotations

import logging
from pathlib import Path

import pytest

from actors.brokers.sqlite.outage import Outage
from middleware.stores.sqlite import FileRefused, FileUnavailable

PATH = Path("/srv/shop/actors.db")


def test_an_outage_is_said_once_at_its_beginning_and_once_at_its_end(caplog: pytest.LogCaptureFixture) -> None:
    outage = Outage(PATH)

    for _ in range(2):
        outage.over()
        for _ in range(5):
            outage.met(FileUnavailable(f"{PATH}: its disk is full"))
        outage.over()

    text = "messages wait: /srv/shop/actors.db: its disk is full"
    assert [record.message.split(", after")[0] for record in caplog.records] == [
        text,
        "messages go on: /srv/shop/actors.db can be used again",
    ] * 2


def test_one_that_somebody_must_end_is_critical(caplog: pytest.LogCaptureFixture) -> None:
    Outage(PATH).met(FileRefused(f"{PATH}: it is damaged"))

    assert [record.levelno for record in caplog.records] == [logging.CRITICAL]
