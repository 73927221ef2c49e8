"""What is answered to probes."""

import json
from http import HTTPStatus
from typing import Any

import pytest

from actors.health.pages import Page, page_at, verdict
from periodic.health import Check

WELL = Check("loop", True, "the loop comes round")
ILL = Check("rabbitmq", False, "RabbitMQ has blocked publishers: low on memory", "make room")


def body(page: Page) -> Any:
    assert page.content_type == "application/json"
    return json.loads(page.body)


def test_each_check_is_listed_with_its_reason_and_what_to_do() -> None:
    page = verdict([WELL, ILL])
    assert body(page) == {
        "ok": False,
        "checks": [
            {"name": "loop", "ok": True, "reason": "the loop comes round", "advice": ""},
            {"name": "rabbitmq", "ok": False, "reason": ILL.reason, "advice": "make room"},
        ],
    }


@pytest.mark.parametrize(
    ("checks", "status"), [([WELL], HTTPStatus.OK), ([WELL, ILL], HTTPStatus.SERVICE_UNAVAILABLE), ([], HTTPStatus.OK)]
)
def test_one_check_that_fails_is_enough_for_503(checks: list[Check], status: HTTPStatus) -> None:
    assert verdict(checks).status is status


def test_a_page_is_made_anew_each_time_whatever_the_query() -> None:
    checks = [ILL]
    pages = {"/ready": lambda: verdict(checks)}
    assert page_at("/ready", pages).status is HTTPStatus.SERVICE_UNAVAILABLE
    checks[:] = [WELL]
    assert page_at("/ready?verbose=1", pages).status is HTTPStatus.OK


@pytest.mark.parametrize("path", ["/", "/ready/", "/../ready", "//ready", "/metrics", ""])
def test_any_other_path_is_not_found_and_told_which_there_are(path: str) -> None:
    page = page_at(path, {"/live": lambda: verdict([]), "/ready": lambda: verdict([])})
    assert page.status is HTTPStatus.NOT_FOUND
    assert body(page)["paths"] == ["/live", "/ready"]
