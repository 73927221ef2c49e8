"""Errors as the HTTP clients make them, judged by their status and their Retry-After."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from email.message import Message as Headers
from typing import Any
from urllib.error import HTTPError, URLError

import dramatiq
import httpx
import pytest
import time_machine

from middleware.options import InvalidPolicy
from middleware.predicates import Answer, FailedAttempt, by_status

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BUSY = by_status(429, 503)


class RequestsResponse:
    """As requests has it: a response with an error is false."""

    def __init__(self, status_code: int, headers: dict[str, str]) -> None:
        self.status_code = status_code
        self.headers = headers

    def __bool__(self) -> bool:
        return self.status_code < 400


class RequestsError(OSError):
    def __init__(self, response: RequestsResponse | None) -> None:
        self.response = response


class AiohttpError(Exception):
    def __init__(self, status: int, headers: dict[str, str] | None) -> None:
        self.status = status
        self.headers = headers


def of_requests(status: int, headers: dict[str, str]) -> BaseException:
    return RequestsError(RequestsResponse(status, headers))


def of_httpx(status: int, headers: dict[str, str]) -> BaseException:
    request = httpx.Request("GET", "http://shop/")
    response = httpx.Response(status, headers={name.lower(): value for name, value in headers.items()}, request=request)
    return httpx.HTTPStatusError("busy", request=request, response=response)


def of_aiohttp(status: int, headers: dict[str, str]) -> BaseException:
    return AiohttpError(status, headers)


def of_urllib(status: int, headers: dict[str, str]) -> BaseException:
    own = Headers()
    for name, value in headers.items():
        own[name.upper()] = value
    return HTTPError("http://shop/", status, "busy", own, io.BytesIO())


CLIENTS = pytest.mark.parametrize("error_of", [of_requests, of_httpx, of_aiohttp, of_urllib])


def judged(error: BaseException) -> Answer:
    message: dramatiq.Message[Any] = dramatiq.Message("default", "charge", (), {}, {})
    return BUSY.decide(FailedAttempt(message, error, 0, timedelta()))


def asked_for(retry_after: Any) -> Answer:
    return judged(AiohttpError(429, {"Retry-After": retry_after}))


@CLIENTS
@pytest.mark.parametrize(("status", "answer"), [(429, True), (503, True), (500, False), (404, False)])
def test_a_status_says_whether_to_try_again(error_of: Any, status: int, answer: bool) -> None:
    assert judged(error_of(status, {})) is answer


@CLIENTS
def test_a_server_says_when_to_come_back(error_of: Any) -> None:
    assert judged(error_of(429, {"Retry-After": "120"})) == timedelta(minutes=2)


@CLIENTS
def test_a_server_that_refuses_for_good_is_not_asked_again_whatever_its_header_says(error_of: Any) -> None:
    assert judged(error_of(400, {"Retry-After": "120"})) is False


@pytest.mark.parametrize(
    "error",
    [
        ValueError(),
        URLError("no route"),
        httpx.ConnectError("no route"),
        RequestsError(None),
        AiohttpError("429", None),  # type: ignore[arg-type]
    ],
)
def test_an_error_without_a_status_is_for_others_to_judge(error: BaseException) -> None:
    assert judged(error) is None


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        ("0", True),
        ("1", timedelta(seconds=1)),
        (" 7 ", timedelta(seconds=7)),
        ("Thu, 01 Jan 2026 00:00:30 GMT", timedelta(seconds=30)),
        ("Thursday, 01-Jan-26 00:00:30 GMT", timedelta(seconds=30)),
        ("Thu Jan  1 00:00:30 2026", timedelta(seconds=30)),
        ("Thu, 01 Jan 2026 01:00:30 +0100", timedelta(seconds=30)),
        # The past is now
        ("Thu, 01 Jan 2026 00:00:00 GMT", True),
        ("Fri, 01 Jan 1999 00:00:00 GMT", True),
        # More than anybody waits
        ("9" * 30, timedelta(seconds=10**9)),
        ("Thu, 01 Jan 9999 00:00:00 GMT", datetime(9999, 1, 1, tzinfo=UTC) - NOW),
        # Garbage
        ("9" * 5_000, True),
        ("-5", True),
        ("1.5", True),
        ("²", True),
        ("", True),
        ("soon", True),
        ("Thu, 01 Jan 99999 00:00:00 GMT", True),
        ("Thu, 31 Feb 2026 00:00:00 GMT", True),
        ("Thu, 01 Jan 2026 00:00:30 +9999", True),
        (b"5", True),
        (5, True),
        (None, True),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_what_is_neither_leaves_the_pause_to_the_policy(
    value: Any, answer: Answer
) -> None:
    with time_machine.travel(NOW, tick=False):
        assert asked_for(value) == answer


@pytest.mark.parametrize("headers", [None, [], "Retry-After: 5", 7])
def test_headers_that_are_none_are_passed_over(headers: Any) -> None:
    assert judged(AiohttpError(429, headers)) is True


@pytest.mark.parametrize("statuses", [(), ("429",), (4290,), (429, None), (True,), ([429, 503],)])
def test_by_status_is_declared_with_statuses(statuses: Any) -> None:
    with pytest.raises(InvalidPolicy) as error:
        by_status(*statuses)

    assert str(error.value) == f"by_status{statuses!r}: must have one or more ints from 100 to 599"
