"""The lock of schedulers on an SQLite file: who may take it, and when."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from middleware.stores.sqlite.file import SqliteFile
from periodic.sqlite import SCHEMA
from periodic.sqlite.guard import Guard
from periodic.sqlite.lock import LEASE_S, LOOK_EVERY_S, Lock, LockLost, break_lock, holder


class Locks:
    """Locks of different processes on one file, and their stopwatch."""

    def __init__(self, path: Path) -> None:
        self.file = SqliteFile(path, schema=SCHEMA)
        self.time_s = 0.0

    def lock(self, name: str) -> Lock:
        return Lock(self.file, name, now_s=lambda: self.time_s)

    def take(self, lock: Lock) -> bool:
        """Whether it takes the lock, if it is worth a try."""
        if not lock.may_take():
            return False
        with self.file.write() as connection:
            return lock.take(connection)

    def holds(self, lock: Lock) -> bool:
        with self.file.write() as connection:
            try:
                lock.hold(connection)
            except LockLost:
                return False
            return True

    def beat(self, lock: Lock) -> None:
        with self.file.write() as connection:
            lock.hold(connection)
            lock.beat(connection)

    def watch(self, lock: Lock, seconds: float, each: Callable[[], None] = lambda: None) -> bool:
        """Let so many seconds go by, with *each* every second; whether *lock* was taken meanwhile."""
        for _ in range(round(seconds / LOOK_EVERY_S)):
            self.time_s += LOOK_EVERY_S
            each()
            if self.take(lock):
                return True
        return False


@pytest.fixture
def locks(tmp_path: Path) -> Iterator[Locks]:
    locks = Locks(tmp_path / "locks.db")
    yield locks
    locks.file.close()


def test_a_lock_that_nobody_holds_is_taken_at_once_and_by_one(locks: Locks) -> None:
    one, two = locks.lock("one"), locks.lock("two")
    assert locks.take(one)
    assert not locks.take(two)
    assert (locks.holds(one), locks.holds(two)) == (True, False)
    with locks.file.read() as connection:
        assert holder(connection) == "one"


def test_who_dies_is_followed_at_once(locks: Locks) -> None:
    one, two = locks.lock("one"), locks.lock("two")
    assert locks.take(one)
    one.let_go()  # as the kernel does it
    assert locks.take(two)
    assert not locks.holds(one)


def test_who_gives_signs_of_life_keeps_it(locks: Locks) -> None:
    one, two = locks.lock("one"), locks.lock("two")
    assert locks.take(one)
    assert not locks.watch(two, 10 * LEASE_S, lambda: locks.beat(one))


def test_who_is_frozen_is_followed_after_a_lease_and_finds_that_out(locks: Locks) -> None:
    frozen, two = locks.lock("frozen"), locks.lock("two")
    assert locks.take(frozen)
    assert not locks.watch(two, LEASE_S - LOOK_EVERY_S)
    assert locks.watch(two, 2 * LOOK_EVERY_S)
    assert (locks.holds(frozen), locks.holds(two)) == (False, True)
    with pytest.raises(LockLost, match="two has taken the lock from frozen"):
        locks.beat(frozen)


def test_one_that_was_frozen_itself_does_not_take_it_from_one_that_lives(locks: Locks) -> None:
    one, two = locks.lock("one"), locks.lock("two")
    assert locks.take(one)
    assert not locks.take(two)
    locks.beat(one)
    locks.time_s += 100 * LEASE_S
    assert not locks.take(two)


def test_what_a_frozen_one_lets_go_of_does_not_depose_who_has_followed_it(locks: Locks) -> None:
    frozen, two, three = locks.lock("frozen"), locks.lock("two"), locks.lock("three")
    assert locks.take(frozen)
    assert locks.watch(two, LEASE_S + LOOK_EVERY_S)
    # It wakes up, and the file beside is free for whoever is the first to try.
    frozen.let_go()
    assert not locks.take(three)
    locks.beat(two)
    assert not locks.watch(three, 2 * LEASE_S, lambda: locks.beat(two))
    # From the beat on it is the leader's: its death is noticed at once again.
    two.let_go()
    assert locks.take(three)


def test_who_leads_without_the_file_beside_and_dies_is_followed_after_a_lease(locks: Locks) -> None:
    frozen, two, three = locks.lock("frozen"), locks.lock("two"), locks.lock("three")
    assert locks.take(frozen)
    assert locks.watch(two, LEASE_S + LOOK_EVERY_S)
    two.let_go()
    assert not locks.watch(three, LEASE_S - LOOK_EVERY_S)
    assert locks.watch(three, 2 * LOOK_EVERY_S)


def test_who_says_that_it_leads_no_more_is_followed_at_once_without_the_file_beside(locks: Locks) -> None:
    frozen, two, three = locks.lock("frozen"), locks.lock("two"), locks.lock("three")
    assert locks.take(frozen)
    assert locks.watch(two, LEASE_S + LOOK_EVERY_S)
    two.let_go()
    with locks.file.write() as connection:
        two.release(connection)
    assert locks.watch(three, LOOK_EVERY_S)


def test_who_holds_it_may_begin_another_term(locks: Locks) -> None:
    one = locks.lock("one")
    assert locks.take(one)
    assert locks.take(one)
    assert locks.holds(one)


def test_a_take_that_was_undone_is_none(locks: Locks) -> None:
    one, two = locks.lock("one"), locks.lock("two")
    assert one.may_take()
    with suppress(ZeroDivisionError), locks.file.write() as connection:
        assert one.take(connection)
        raise ZeroDivisionError
    one.let_go()
    assert locks.take(two)
    assert not locks.holds(one)


def test_an_operator_breaks_it_whoever_holds_it(locks: Locks) -> None:
    one = locks.lock("one")
    assert locks.take(one)
    with locks.file.write() as connection:
        break_lock(connection)
    with pytest.raises(LockLost, match="an operator has taken the lock from one"):
        locks.beat(one)
    one.let_go()
    assert locks.take(one)


def test_a_guard_is_held_by_one_and_made_again_where_it_was_deleted(tmp_path: Path) -> None:
    path = tmp_path / "guard"
    one, two = Guard(path), Guard(path)
    assert (one.try_hold(), one.try_hold(), two.try_hold()) == (True, True, False)
    path.unlink()
    assert two.try_hold()
    for each in (one, two):
        each.let_go()
        each.let_go()
    assert (one.is_held, two.is_held) == (False, False)


def test_a_guard_that_can_not_be_made_is_held_by_nobody(tmp_path: Path) -> None:
    assert not Guard(tmp_path / "no folder" / "guard").try_hold()
