from __future__ import annotations

import json

import pytest

from actors.brokers.sqlite import dead_letters
from actors.brokers.sqlite.dead_letters import STEP, Burial
from middleware.letter import Letter
from tests.unit.brokers.sqlite.table import NOW, Table
from tests.unit.brokers.sqlite.test_settling import letter


@pytest.mark.parametrize("body", [b"", b"\xff\xfe\x00", b"{}", "[\u2028]".encode()])
def test_a_dead_letter_keeps_its_body_byte_for_byte_and_what_is_said_of_it(body: bytes, table: Table) -> None:
    with table.file.write() as connection:
        dead_letters.bury(connection, Burial(letter(), body, expires=NOW + 5))

    with table.file.read() as connection:
        found = connection.execute(
            "SELECT letter, queue, message_id, actor, reason, error_type, fingerprint, died, expires, body, header"
            " FROM actors_dead_letter"
        ).fetchone()
    assert found[:-1] == (
        "end of a",
        "default",
        "a",
        "job",
        "exhausted",
        "ValueError",
        "f" * 16,
        NOW,
        NOW + 5,
        body,
    )
    assert Letter.from_header(json.loads(found[-1])) == letter()


def test_a_dead_letter_whose_time_is_over_is_not_counted_and_can_be_removed(table: Table) -> None:
    with table.file.write() as connection:
        dead_letters.bury(connection, Burial(letter("a"), b"", expires=NOW + 5))
        dead_letters.bury(connection, Burial(letter("b"), b""))

    assert [table.dead(now=now) for now in (NOW + 4, NOW + 5)] == [2, 1]
    with table.file.write() as connection:
        assert not dead_letters.has_expired(connection, now=NOW + 4)
        assert dead_letters.has_expired(connection, now=NOW + 5)
        dead_letters.expire(connection, now=NOW + 5)
        assert not dead_letters.has_expired(connection, now=NOW + 5)
    assert table.dead(now=NOW) == 1


def test_dead_letters_are_removed_in_steps(table: Table) -> None:
    with table.file.write() as connection:
        for number in range(STEP + 1):
            dead_letters.bury(connection, Burial(letter(str(number)), b"", expires=NOW))
        dead_letters.expire(connection, now=NOW)
        assert dead_letters.has_expired(connection, now=NOW)
        dead_letters.expire(connection, now=NOW)
        assert not dead_letters.has_expired(connection, now=NOW)


def test_dropping_dead_letters_leaves_those_of_other_queues(table: Table) -> None:
    with table.file.write() as connection:
        for queue in ("default", "default", "other"):
            dead_letters.bury(connection, Burial(letter(queue=queue), b""))
        assert dead_letters.drop(connection, "default", limit=1) == 1
        assert dead_letters.drop(connection, "default", limit=5) == 1

    assert (table.dead(), table.dead("other")) == (0, 1)
