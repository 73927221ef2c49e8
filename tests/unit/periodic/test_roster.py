import json

import pytest

from periodic.roster import Entry, Roster
from tests.unit.periodic.moments import after, at

FULL = Roster(
    {
        "a": Entry("t1", after(1)),
        "b": Entry("t2", after(2), resume=at(3, "b"), gone_at=after(4), paused=True),
    },
    batch=2,
    generation=5,
)


def test_it_comes_back_as_it_was_written() -> None:
    assert Roster.decode(FULL.encode()) == FULL


def test_what_a_later_version_keeps_there_is_passed_on_by_an_earlier_one() -> None:
    fields = json.loads(FULL.encode())
    fields["run_time"] = [{"name": "c"}]
    fields["schedules"]["a"]["owner"] = "ops"

    passed_on = json.loads(Roster.decode(json.dumps(fields).encode()).encode())

    assert passed_on == fields


def test_an_entry_is_replaced_alone() -> None:
    changed = FULL.with_entry("a", Entry("t3", after(9)))

    assert changed.entries["a"].timing == "t3"
    assert changed.entries["b"] == FULL.entries["b"]
    assert FULL.entries["a"].timing == "t1"


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"schedules": {"a": {}}, "batch": 0, "generation": 0}', b"\xff"])
def test_what_is_no_roster_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="is no roster"):
        Roster.decode(body)
