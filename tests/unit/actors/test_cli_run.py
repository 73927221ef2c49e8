"""`actors run`: an actor called here, with no broker."""

import json

import pytest

from tests.unit.actors.conftest import Application

TASKS = """
    import logging
    from dataclasses import dataclass
    from datetime import date

    from actors import actor, broker, current, enqueue_many

    @actor
    def next_day(day: date, *, days: int = 1) -> date:
        print("printed", type(day).__name__)
        return day.replace(day=day.day + days)

    @actor
    async def greet(name: str) -> dict[str, str]:
        return {"hello": name}

    @actor
    def fail(order_id: int) -> None:
        raise LookupError(f"no order {order_id}")

    @actor
    def fan_out() -> str:
        greet.send("a")
        greet.send_with_options(args=("b",), delay=60_000)
        enqueue_many([greet.message("c")])
        broker.enqueue(greet.message("d"))
        return "done"

    @actor
    def opaque() -> object:
        return open

    @actor(idempotency_key="charge:{order_id}")
    def charge(order_id: int) -> list[object]:
        attempt = current()
        return [attempt.key, attempt.number, attempt.maybe_ran, attempt.fence]
"""


@pytest.fixture
def shop(application: Application, monkeypatch: pytest.MonkeyPatch) -> Application:
    application.write("shop_tasks", TASKS)
    monkeypatch.setenv("ACTORS_MODULES", "shop_tasks")
    return application


def test_arguments_are_restored_by_the_hints_and_the_result_is_json(shop: Application) -> None:
    result = shop.actors("run", "next_day", "--args", '["2026-03-01"]', "--kwargs", '{"days": 2}')
    assert (result.exit_code, json.loads(result.stdout)) == (0, "2026-03-03")
    assert "printed date" in result.stderr


def test_the_actor_may_ask_for_its_attempt(shop: Application) -> None:
    assert json.loads(shop.actors("run", "charge", "--args", "[42]").stdout) == ["charge:42", 1, False, 0]


def test_an_async_actor_runs_too(shop: Application) -> None:
    assert json.loads(shop.actors("run", "greet", "--args", '["Ada"]').stdout) == {"hello": "Ada"}


def test_json_has_the_whole_outcome(shop: Application) -> None:
    outcome = shop.json("run", "greet", "--args", '["Ada"]')
    assert outcome.pop("duration_ms") >= 0
    assert outcome == {"actor": "greet", "outcome": "done", "result": {"hello": "Ada"}, "error": None, "unsent": []}


def test_a_failure_is_its_traceback_from_the_actor_on_and_status_1(shop: Application) -> None:
    result = shop.actors("run", "fail", "--args", "[42]")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Traceback (most recent call last):\n")
    assert 'shop_tasks.py", line 19, in fail' in result.stderr.splitlines()[1]
    assert result.stderr.endswith("LookupError: no order 42\n")


def test_a_failure_in_json_has_type_message_and_traceback(shop: Application) -> None:
    outcome = shop.json("run", "fail", "--args", "[42]", status=1)
    assert (outcome["outcome"], outcome["result"]) == ("failed", None)
    assert (outcome["error"]["type"], outcome["error"]["message"]) == ("LookupError", "no order 42")


def test_what_the_actor_sends_is_listed_and_not_sent(shop: Application) -> None:
    outcome = shop.json("run", "fan_out")
    assert outcome["result"] == "done"
    assert [message["args"] for message in outcome["unsent"]] == [["a"], ["b"], ["c"], ["d"]]


def test_a_result_that_json_lacks_is_shown_by_its_repr(shop: Application) -> None:
    assert shop.json("run", "opaque")["result"] == repr(open)


@pytest.mark.parametrize("command", ["run", "send"])
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["next_dya"], "shop_tasks declares no actor 'next_dya', did you mean 'next_day'?"),
        (["next_day", "--args", "[1, 2, 3]"], "actor 'next_day'"),
        (["next_day", "--args", '["soon"]'], "actor 'next_day': day"),
        (["next_day", "--args", "soon"], "--args: not JSON"),
        (["next_day", "--kwargs", "[]"], "--kwargs: [] is not an object"),
        ([], "NAME"),
    ],
)
def test_a_call_that_can_not_work_is_refused_with_status_2(
    shop: Application, command: str, arguments: list[str], text: str
) -> None:
    result = shop.actors(command, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert text in result.stderr
    assert "Traceback" not in result.stderr


def test_without_modules_it_says_how_to_name_them(application: Application) -> None:
    result = application.actors("run", "charge")
    assert result.exit_code == 2
    assert "-m, or set ACTORS_MODULES" in result.stderr
