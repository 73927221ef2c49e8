"""Pitfall 21: large objects as arguments, pickle, and "datetime is not JSON serializable"."""

import pickle
from pathlib import Path
from typing import Any

import pika
import pytest
from dramatiq.errors import DecodeError

from actors.brokers.topology import Topology
from services.deadline import until
from tests.integration.dead import dead_letters
from tests.integration.project import Project

VALUES = """
    from dataclasses import dataclass
    from datetime import UTC, date, datetime, timedelta, timezone
    from decimal import Decimal
    from enum import Enum, IntEnum
    from uuid import UUID

    from pydantic import BaseModel

    class Size(Enum):
        SMALL = "s"

    class Grade(IntEnum):
        HIGH = 3

    @dataclass(frozen=True)
    class Line:
        id: UUID
        price: Decimal
        size: Size

    class Customer(BaseModel):
        name: str
        since: date
        lines: list[Line]

    ID = UUID("12345678-1234-5678-1234-567812345678")
    LINE = Line(ID, Decimal("10.10"), Size.SMALL)
    VALUES = {
        "at": datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=timezone(timedelta(hours=2))),
        "day": date(2024, 2, 29),
        "id": ID,
        "price": Decimal("0.10"),
        "size": Size.SMALL,
        "grade": Grade.HIGH,
        "line": LINE,
        "customer": Customer(name="Zoë", since=date(2020, 1, 1), lines=[LINE]),
        "stock": {ID: [LINE, LINE]},
        "until": None,
    }
"""

TASKS = """
    from datetime import date, datetime
    from decimal import Decimal
    from pathlib import Path
    from uuid import UUID

    from actors import actor
    from values import VALUES, Customer, Grade, Line, Size

    @actor
    def book(
        at: datetime,
        day: date,
        id: UUID,
        price: Decimal,
        size: Size,
        grade: Grade,
        line: Line,
        customer: Customer,
        stock: dict[UUID, list[Line]],
        until: date | None,
    ) -> None:
        seen = locals()
        with Path("booked").open("a") as booked:
            for name, value in VALUES.items():
                same = seen[name] == value and type(seen[name]) is type(value) and str(seen[name]) == str(value)
                booked.write(f"{name} {same}\\n")

    @actor
    def keep(thing: object) -> None: ...
"""

SEND = """
from typed_tasks import book
from values import VALUES
book.send(**VALUES)
book.send(*VALUES.values())
"""

REFUSED = """
from typed_tasks import keep
class Request:
    body = b"x"
try:
    keep.send({})
except Exception as error:
    print(f"{{type(error).__name__}}: {{error}}")
"""

ENV = {"ACTORS_MODULES": "shop_tasks,typed_tasks"}


@pytest.fixture
def typed(project: Project) -> Project:
    project.write("values", VALUES)
    project.write("typed_tasks", TASKS)
    return project


def refusal(project: Project, argument: str) -> str:
    """What a sender of *argument* is told."""
    ended = project.python("-c", REFUSED.format(argument), **ENV)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout.strip()


def test_p21_each_type_comes_back_by_its_hint_in_a_worker(typed: Project) -> None:
    with typed.worker(**ENV):
        sent = typed.python("-c", SEND, **ENV)
        assert sent.returncode == 0, sent.stderr
        booked = typed.folder / "booked"
        until(lambda: booked.exists() and len(booked.read_text().split()) == 40, seconds=20, what="both messages")
    names = ["at", "day", "id", "price", "size", "grade", "line", "customer", "stock", "until"]
    assert booked.read_text().splitlines() == [f"{name} True" for name in names * 2]


def test_p21_a_message_over_128_kib_is_refused_at_send_with_the_advice_to_pass_an_id(typed: Project) -> None:
    # To the byte
    length = "131_072 - len(keep.message('').encode())"
    assert refusal(typed, f'"x" * ({length})') == ""
    assert refusal(typed, f'"x" * ({length} + 1)') == (
        "MessageTooLarge: actor 'keep': the message is 131,073 bytes, over the limit of 131,072 "
        "(ACTORS_MAX_MESSAGE_BYTES); store the data and pass its id"
    )
    assert "store the data and pass its id" in refusal(typed, "bytes(200_000)")
    assert typed.queues(**ENV)["default"]["ready"] == 1


@pytest.mark.parametrize(
    ("argument", "name"),
    [
        ("Request()", "Request"),
        ("{'lines': [Request()]}", "Request"),
        ("open(__import__('os').devnull)", "TextIOWrapper"),
    ],
)
def test_p21_what_has_no_form_in_json_is_refused_with_what_to_pass_instead(
    typed: Project, argument: str, name: str
) -> None:
    told = refusal(typed, argument)
    where = "args[0].lines[0]" if "lines" in argument else "args[0]"
    assert told.startswith(
        f"NotEncodable: actor 'keep': {where}: a value of type {name} can't travel as JSON; pass an id, or a str, "
    )
    assert typed.queues(**ENV)["default"]["physical"][0]["exists"] is False


class Bomb:
    """What unpickling it does, it does wherever it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._path,)


def test_p21_a_pickle_of_another_producer_is_a_dead_letter_and_is_never_unpickled(typed: Project) -> None:
    exploded = typed.folder / "exploded"
    body = pickle.dumps(Bomb(exploded))
    with typed.worker(**ENV):
        with pika.BlockingConnection(pika.URLParameters(typed.env["ACTORS_BROKER_URL"])) as connection:
            connection.channel().basic_publish("", Topology("quorum", typed.prefix).work("default").name, body)
        until(lambda: typed.queues(**ENV)["default"]["dead"] == 1, seconds=20, what="the dead letter")
    assert not exploded.exists()
    with pytest.raises(DecodeError):
        dead_letters(typed)
    # And it would have exploded
    pickle.loads(body)
    assert exploded.exists()
