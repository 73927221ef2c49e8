"""Looking at dead letters: page by page, by group, one by one; nothing changes by it."""

import time

import dramatiq
import pytest

from actors.dead_letters import Selection
from middleware.failure import Failure, Reason
from services.deadline import until
from tests.conformance.operators.conftest import MakeSite
from tests.conformance.operators.site import FIRST_DIED, Site, ids, returned


def test_a_page_has_the_oldest_letters_and_says_how_many_there_are(site: Site) -> None:
    site.bury(*"abcde")
    with returned(site):
        page = site.letters.look(limit=2)
        assert ids(page.letters) == ["a", "b"]
        [looked] = [looked for looked in page.looked if looked.seen]
        assert (looked.queue, looked.seen + looked.left) == ("default", 5)


def test_a_page_takes_no_more_than_it_needs(site: Site) -> None:
    site.bury(*map(str, range(50)))
    [looked] = [looked for looked in site.letters.look(limit=5).looked if looked.seen]
    assert (looked.seen, looked.left) == (6, 44)


def test_pages_go_on_where_the_last_one_ended_over_all_queues(site: Site) -> None:
    site.bury(*"abc")
    site.bury(*"xyz", queue="reports")
    assert pages(site, limit=2) == [["a", "b"], ["c", "x"], ["y", "z"]]
    assert pages(site, limit=3) == [["a", "b", "c"], ["x", "y", "z"]]


def test_pages_stay_while_letters_come_and_go(site: Site) -> None:
    site.bury(*"abcdef")
    page = site.letters.look(limit=3)
    site.letters.discard(Selection(ids=["a", "e"]))
    site.bury("g", died=FIRST_DIED + 100)
    assert ids(site.letters.look(after=page.following).letters) == ["d", "f", "g"]


def test_a_page_whose_place_is_gone_goes_on_with_what_died_next(site: Site) -> None:
    site.bury(*"abcdef")
    page = site.letters.look(limit=3)
    site.letters.discard(Selection(ids=["c", "b"]))
    assert ids(site.letters.look(after=page.following).letters) == ["d", "e", "f"]


def test_copies_of_a_letter_end_no_page_twice(site: Site) -> None:
    site.bury(*"abab", died=FIRST_DIED)
    assert pages(site, limit=1) == [["a"], ["b"], ["a"], ["b"]]


@pytest.mark.parametrize("after", ["here", "WzFd", "e30=", "WyJhIiwgImIiLCAiYyIsIDEsICJkIl0="])
def test_a_place_that_is_none_is_refused(site: Site, after: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        site.letters.look(after=after)


def test_what_is_selected_is_found_however_deep_it_is(site: Site) -> None:
    site.bury(*map(str, range(30)))
    site.bury("deep", actor="other", died=FIRST_DIED + 100)
    with returned(site):
        assert ids(site.letters.look(Selection(actors=["other"]), limit=1).letters) == ["deep"]


def test_a_look_goes_no_deeper_than_it_is_told(site: Site) -> None:
    site.bury(*map(str, range(30)))
    site.bury("deep", actor="other", died=FIRST_DIED + 100)
    page = site.letters.look(Selection(actors=["other"]), limit=1, depth=20)
    assert page.letters == []
    assert [(looked.seen, looked.left) for looked in page.looked if looked.seen] == [(20, 11)]


@pytest.mark.usefixtures("small_steps")
def test_more_letters_than_are_taken_at_a_time_are_all_seen_and_stay_in_their_order(site: Site) -> None:
    names = [str(number) for number in range(100)]
    site.bury(*names)
    with returned(site):
        assert site.names() == names
        assert site.letters.groups().count == 100


def test_letters_that_come_during_a_look_are_not_disturbed_by_it(site: Site) -> None:
    # Given a worker whose messages end while letters are looked at
    def fail(name: str) -> None:
        raise ValueError(name)

    job = site.declare(fail, max_retries=0)
    site.bury(*map(str, range(200)))
    site.work()
    for number in range(50):
        job.send(f"new{number}")
        if number % 10 == 0:
            site.letters.groups()
    # Then all are there, the new ones behind the others
    until(lambda: site.count() == 250, seconds=20, what="all letters")
    assert site.names()[:200] == [str(number) for number in range(200)]


def test_groups_have_the_letters_of_one_error_the_largest_first(site: Site) -> None:
    site.bury(*"abc", failure=Failure(Reason.EXHAUSTED, "Timeout", "after 30 s"))
    site.bury(*"xy", failure=Failure(Reason.EXHAUSTED, "ValueError", "boom"), actor="other")
    with returned(site):
        found = site.letters.groups()
    assert (found.count, found.others) == (5, 0)
    assert [(group.actor, group.error_type, group.count) for group in found.groups] == [
        ("job", "Timeout", 3),
        ("other", "ValueError", 2),
    ]
    first = found.groups[0]
    assert (first.first, first.last, first.example.letter.message_id) == (FIRST_DIED, FIRST_DIED + 2, "c")


def test_groups_beyond_the_most_are_counted_together(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.dead_letters.groups.MOST", 2)
    for name in "abcb":
        site.bury(name, actor=name)
    found = site.letters.groups()
    assert ([group.actor for group in found.groups], found.count, found.others) == (["b", "a"], 4, 1)


def test_a_letter_is_found_whole_by_its_id_or_its_messages(site: Site) -> None:
    site.bury(*"ab", kwargs={"cents": 5})
    with returned(site):
        [found] = site.letters.find("b")
        assert site.letters.find(found.letter.id)[0].body == found.body
        assert site.letters.find("c") == []
    assert dramatiq.Message.decode(found.body).kwargs == {"cents": 5}


def test_the_stock_says_since_when_and_until_when(make_site: MakeSite) -> None:
    site = make_site(dead_letter_retention_ms=3_600_000)
    now = time.time_ns() // 1_000_000
    site.bury("a", died=now)
    site.bury("b", died=now + 10)
    with returned(site):
        [stock] = [stock for stock in site.letters.stock() if stock.count]
    assert (stock.queue, stock.count, stock.oldest, stock.expires) == ("default", 2, now, now + 3_600_000)
    assert stock.expiring == (now + 3_600_000, now + 3_600_010)


def pages(site: Site, *, limit: int) -> list[list[str]]:
    found, after = [], ""
    while True:
        page = site.letters.look(limit=limit, after=after)
        found.append(ids(page.letters))
        after = page.following
        if not after or len(found) > 20:
            return found
