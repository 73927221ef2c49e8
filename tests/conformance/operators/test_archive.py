"""Dead letters that are dropped, or kept in a file and put back."""

import json
import time
from typing import Any

import pytest

from actors.dead_letters import Buried, Dead, ImportTerms, Restored, Selection, line_of
from tests.conformance.operators.conftest import MakeSite
from tests.conformance.operators.site import Site, ids, returned

EVERYTHING = Selection()
HOUR_MS = 3_600_000


def exported(site: Site, selection: Selection = EVERYTHING) -> list[str]:
    lines: list[str] = []
    site.letters.export(selection, lambda buried: lines.append(line_of(buried)))
    return lines


def whole(site: Site) -> list[tuple[Any, ...]]:
    found: list[Buried] = []
    site.letters.export(EVERYTHING, found.append)
    return [(buried.letter, buried.body, buried.found.get("message_id"), buried.found_in) for buried in found]


@pytest.mark.usefixtures("small_steps")
def test_what_is_discarded_is_gone_and_the_rest_stays_in_its_order(site: Site) -> None:
    names = [f"{number:02}" for number in range(60)]
    site.bury(*names)
    gone: list[Dead] = []
    assert site.letters.discard(Selection(ids=names[::3]), gone.append) == 20
    assert ids(gone) == names[::3]
    assert site.names() == [name for name in names if name not in names[::3]]


def test_a_discard_that_is_told_to_stop_leaves_the_rest(site: Site) -> None:
    site.bury(*"abcdef")
    gone: list[Dead] = []
    answers = iter([True, True])
    assert site.letters.discard(EVERYTHING, gone.append, lambda: next(answers, False)) == 2
    assert (ids(gone), site.names()) == (["a", "b"], ["c", "d", "e", "f"])


def test_an_export_changes_nothing_and_its_import_puts_the_same_back(site: Site) -> None:
    site.bury("a", "b", kwargs={"name": "näme\n\u2028"})
    site.bury("x", queue="reports")
    site.bury_bytes(b"\xff\x00 not JSON")
    with returned(site):
        lines = exported(site)
    before = whole(site)
    site.letters.discard(EVERYTHING)
    assert site.count() == 0
    assert site.letters.restore(lines) == Restored(restored=4, lines=4)
    assert whole(site) == before


def test_an_import_leaves_out_what_is_there_already(site: Site) -> None:
    site.bury(*"abc")
    lines = exported(site)
    site.letters.discard(Selection(ids=["b"]))
    assert site.letters.restore([*lines, lines[1]]) == Restored(restored=1, present=3, lines=4)
    assert sorted(site.names()) == ["a", "b", "c"]


def test_bad_lines_are_named_and_all_others_are_put_back(site: Site) -> None:
    site.bury(*"ab")
    first, second = exported(site)
    site.letters.discard(EVERYTHING)
    bad: list[int] = []
    terms = ImportTerms(bad=lambda number, why: bad.append(number))
    assert site.letters.restore([first, "{", "", second], terms) == Restored(restored=2, bad=1, lines=4)
    assert bad == [2]


def test_what_is_put_back_has_what_is_left_of_its_retention(make_site: MakeSite) -> None:
    site = make_site(dead_letter_retention_ms=HOUR_MS)
    now = time.time_ns() // 1_000_000
    site.bury("a", died=now - 60_000)
    [expires] = [dead.expires for dead in site.letters.look().letters]
    [line] = exported(site)
    late = json.loads(line) | {"expires": now - 1}
    late["letter"] |= {"id": "late", "message_id": "late"}
    site.letters.discard(EVERYTHING)
    lines = [line, json.dumps(late)]
    assert site.letters.restore(lines) == Restored(restored=1, expired=1, lines=2)
    [dead] = site.letters.look().letters
    assert expires is not None
    assert dead.expires is not None
    assert dead.expires == pytest.approx(expires, abs=1)
    # And the letter that should be gone by now comes back where that is asked for
    assert site.letters.restore(lines, ImportTerms(fresh=True)).restored == 1
    [found] = site.letters.find("late")
    assert found.expires is not None
    assert found.expires >= now + HOUR_MS


def test_an_import_stops_after_a_chunk_when_it_is_told_to(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.dead_letters.restoring.CHUNK", 2)
    site.bury(*"abcde")
    lines = exported(site)
    site.letters.discard(EVERYTHING)
    terms = ImportTerms(go_on=lambda so_far: so_far.restored < 2)
    assert site.letters.restore(lines, terms) == Restored(restored=2, lines=2)
    assert site.letters.restore(lines) == Restored(restored=3, present=2, lines=5)
    assert site.names() == ["a", "b", "c", "d", "e"]
