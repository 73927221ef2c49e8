"""Threads that wait for a turn get it in the order of their coming."""

import threading
from functools import partial

from middleware.stores.sqlite.turns import Turns
from services.deadline import until


def has_waiting(turns: Turns, count: int) -> bool:
    return len(turns._waiting) == count


def test_turns_come_in_the_order_of_asking() -> None:
    turns, order = Turns(), list[int]()

    def ask(number: int) -> None:
        assert turns.take(30)
        order.append(number)
        turns.pass_on()

    assert turns.take(0)
    threads = [threading.Thread(target=ask, args=(number,)) for number in range(10)]
    for count, thread in enumerate(threads, 1):
        thread.start()
        until(partial(has_waiting, turns, count), seconds=30, what="one more who waits")
    turns.pass_on()
    for thread in threads:
        thread.join()
    assert order == list(range(10))


def test_who_has_given_up_is_passed_over() -> None:
    turns = Turns()
    assert turns.take(0)
    assert not turns.take(0.01)
    turns.pass_on()
    assert turns.take(0)
    assert not turns.take(0)
