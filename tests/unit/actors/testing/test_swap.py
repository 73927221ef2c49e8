from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import dramatiq
import pytest
from dramatiq.asyncio import get_event_loop_thread
from dramatiq.middleware import Middleware

from actors import actor
from actors.assembly import broker
from actors.testing import drain, enqueued, stub_broker


@actor(actor_name="swap.charge", queue_name="swap")
def charge(order: int) -> None:
    charged.append(order)


@actor(actor_name="swap.fetch")
async def fetch() -> int:
    return 42


charged: list[int] = []


def in_place() -> list[dramatiq.Broker]:
    """Return the broker of new actors, and that of one which was declared before."""
    return [dramatiq.get_broker(), charge.broker]


def test_all_actors_send_to_the_stub_within_the_block_and_not_after_it() -> None:
    with stub_broker() as stub:
        assert in_place() == [stub, stub]
        assert stub.get_actor("swap.charge") is charge
        charge.send(1)
        assert len(enqueued(charge)) == 1

    assert in_place() == [broker, broker]


def test_the_real_broker_is_back_after_an_error() -> None:
    with pytest.raises(ConnectionError), stub_broker():
        raise ConnectionError

    assert in_place() == [broker, broker]


def test_blocks_may_be_nested_and_each_has_messages_of_its_own() -> None:
    with stub_broker() as outer:
        charge.send(1)
        with stub_broker() as inner:
            assert in_place() == [inner, inner]
            assert enqueued() == []
            charge.send(2)
        assert in_place() == [outer, outer]
        assert [message.args for message in enqueued()] == [(1,)]

    assert in_place() == [broker, broker]


def test_an_actor_keeps_one_wrapper_of_each_middleware() -> None:
    fn = charge.fn

    for _ in range(3):
        with stub_broker():
            assert charge.fn is fn
            with stub_broker():
                assert charge.fn is fn
    assert charge.fn is fn


class Doubler(Middleware):
    """Puts a wrapper around an actor's function that calls it twice."""

    @property
    def actor_options(self) -> set[str]:
        return {"doubled"}

    def after_declare_actor(self, broker: dramatiq.Broker, actor: dramatiq.Actor[..., Any]) -> None:
        fn = actor.fn
        actor.fn = lambda *args, **kwargs: (fn(*args, **kwargs), fn(*args, **kwargs))


def test_middleware_that_a_test_adds_wraps_actors_until_the_block_ends() -> None:
    charged.clear()
    fn = charge.fn

    with stub_broker() as stub:
        stub.add_middleware(Doubler())
        charge.send(7)
        drain()

    assert charged == [7, 7]
    assert charge.fn is fn


def test_middleware_that_the_application_has_added_is_there_once() -> None:
    with stub_broker() as application:
        application.add_middleware(Doubler())

        @actor(doubled=True)  # type: ignore[call-overload, untyped-decorator]
        def work() -> None:
            charged.append(1)

        charged.clear()
        with stub_broker() as stub:
            assert [type(each) for each in stub.middleware].count(Doubler) == 1
            work.send()
            drain()

        assert charged == [1, 1]


def test_actors_declared_within_the_block_vanish_at_its_end() -> None:
    for _ in range(2):
        with stub_broker() as stub:

            @actor(actor_name="swap.short_lived")
            def short_lived() -> None: ...

            assert stub.get_actor("swap.short_lived") is short_lived
        assert "swap.short_lived" not in broker.actors


def test_the_actors_of_a_module_that_is_imported_within_the_block_outlive_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the next test would import the same module, and send to a broker that is gone."""
    (tmp_path / "swap_late_tasks.py").write_text(
        "from actors import actor\n@actor(queue_name='late')\ndef swap_late(): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    with stub_broker(), stub_broker():
        __import__("swap_late_tasks")
    late = sys.modules["swap_late_tasks"].swap_late

    try:
        assert broker.actors["swap_late"] is late
        assert late.broker is broker
        assert "late" in broker.queues
        with stub_broker():
            late.send()
            assert drain().done == 1
    finally:
        del sys.modules["swap_late_tasks"], broker.actors["swap_late"]


def test_an_async_actor_may_be_called_within_the_block() -> None:
    before = get_event_loop_thread()

    with stub_broker():
        assert fetch() == 42
        loop = get_event_loop_thread()
        fetch.send()
        assert drain().done == 1
        assert get_event_loop_thread() is loop

    assert get_event_loop_thread() is before
    assert loop is not None
    assert not loop.is_alive()
    assert loop.loop.is_closed()


def test_no_event_loop_runs_until_an_async_actor_does() -> None:
    with stub_broker():
        charge.send(1)
        drain()
        loop = get_event_loop_thread()
        assert loop is not None
        assert not loop.is_alive()
