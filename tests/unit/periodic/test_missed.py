import pytest

from periodic.missed import Missed
from tests.unit.periodic.moments import after

ONE = Missed("a", after(1), "it was late")
ROW = Missed("a", after(1), "it was late", until=after(9))


def test_a_record_comes_back_as_it_was_written() -> None:
    assert [Missed.decode(missed.encode()) for missed in (ONE, ROW)] == [ONE, ROW]


def test_a_record_in_one_line_says_what_was_missed_and_why() -> None:
    assert str(ONE) == "a: 2030-01-01T00:00:01+00:00 missed: it was late"
    assert str(ROW) == "a: 2030-01-01T00:00:01+00:00 to 2030-01-01T00:00:09+00:00 missed: it was late"


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"schedule": "a", "time": "x", "reason": ""}'])
def test_what_is_no_record_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="no record"):
        Missed.decode(body)
