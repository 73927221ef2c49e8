"""What is remembered of keys, and of schedules, goes on in the new place."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from actors.brokers.sqlite import tick_runs
from actors.brokers.sqlite.tick_runs import TickRun
from actors.migrating import MigrationRefused
from actors.operating.rabbitmq import rabbitmq_view
from middleware.stores import Answer, Claim, Ending, Outcome, Request, Verdict
from periodic.missed import Missed
from periodic.pace import Pace
from periodic.position import Position
from periodic.roster import Entry, Roster
from periodic.sqlite.ledger import write_roster, write_watermark
from periodic.watermark import Watermark
from tests.integration.migrating.site import Site

NOW = datetime.now(UTC).replace(microsecond=7)
MARK = Watermark(Position.behind_all(NOW), NOW, leader="there")
ROSTER = Roster(
    {"nightly": Entry("aa", NOW), "hourly": Entry("bb", NOW, paused=True)},
    batch=3,
    generation=2,
    more={"added": {"x": 1}},
)
LONG_MS = 600_000


def ask(key: str, owner: str, **options: object) -> Request:
    return Request(f"v1.{key}", "job", key, owner, f"delivery of {owner}", lease_ms=LONG_MS, **options)  # type: ignore[arg-type]


def begin(site: Site, *requests: Request) -> list[Claim]:
    _, answers = site.store.exchange([], requests)
    return [
        Claim(each, answer.fence, answer.lost, answer.retries) for each, answer in zip(requests, answers, strict=True)
    ]


def told(site: Site, key: str, owner: str) -> Answer:
    _, [answer] = site.to.store.exchange([], [replace(ask(key, owner), token="another")])
    return answer


def keep_schedules(site: Site, watermark: Watermark = MARK) -> None:
    with site.file.write() as connection:
        write_watermark(connection, watermark)
        write_roster(connection, ROSTER)


def kept(site: Site) -> tuple[Roster | None, Watermark | None]:
    with rabbitmq_view(site.to.engine, timeout_s=10) as view:
        return view.kept()


def test_keys_say_in_the_new_place_what_they_said_in_the_file(site: Site) -> None:
    done, failed, waiting, released, running = begin(
        site, *(ask(key, f"{key}-1") for key in ("done", "failed", "waiting", "released", "running"))
    )
    site.store.exchange(
        [
            Outcome(done, Ending.DONE, result='{"a":1}'),
            Outcome(failed, Ending.FAILED, error="no luck", retries=5),
            Outcome(waiting, Ending.WAITING, due_ms=LONG_MS, error="later", retries=2),
            Outcome(released, Ending.DONE),
        ],
        [],
    )
    site.store.release("v1.released")

    before = {key: site.store.inspect(f"v1.{key}") for key in ("done", "failed", "waiting", "released", "running")}

    report = site.move()

    assert (report.moved["records"], report.moved["aliases"]) == (5, 5)
    for key, there in before.items():
        here = site.to.store.inspect(f"v1.{key}")
        assert there is not None
        assert here is not None
        assert replace(here, expires=there.expires) == there
        assert abs(here.expires - there.expires) < 60_000
        assert site.to.store.digest_of(f"{key}-1") == f"v1.{key}"
    assert told(site, "done", "another").result == '{"a":1}'
    assert told(site, "failed", "failed-1").verdict is Verdict.FAILED
    assert (told(site, "waiting", "waiting-1").retries, told(site, "running", "x").verdict) == (2, Verdict.BUSY)
    fences = [each.fence for each in (done, failed, waiting, running)]
    assert told(site, "new", "new-1").fence > max(fences)


def test_groups_wait_for_those_of_their_members_that_are_missing(site: Site) -> None:
    site.store.open_group("g", 3, ttl_ms=LONG_MS)
    assert not site.store.arrive("g", "a")
    assert site.move().moved["groups"] == 1
    assert not site.to.store.arrive("g", "a")
    assert not site.to.store.arrive("g", "b")
    assert site.to.store.arrive("g", "c")


def test_a_group_that_is_opened_meanwhile_is_there_before_its_members(site: Site) -> None:
    site.send(1)
    told: list[str] = []

    def moved(kind: str, _: int) -> None:
        told.append(kind)
        if len(told) == 1:
            site.store.open_group("late", 1, ttl_ms=LONG_MS)
            site.send(2)

    assert site.move(moved=moved).moved["groups"] == 1
    assert site.to.store.arrive("late", "a")


def test_a_key_that_has_gone_on_in_the_new_place_is_left_alone(site: Site) -> None:
    begin(site, ask("k", "m1"))
    held = ask("k", "m2")
    _, [answer] = site.to.store.exchange([], [held])
    site.to.store.exchange([Outcome(Claim(held, answer.fence), Ending.DONE, result="new")], [])
    site.move()
    assert told(site, "k", "m3").result == "new"


def test_schedulers_go_on_from_the_watermark_and_the_roster_of_the_file(site: Site) -> None:
    keep_schedules(site)
    missed = Missed("nightly", NOW - timedelta(hours=1), "too late", NOW)
    run = b'{"no": "run that can be read"}'
    with site.file.write() as connection:
        row = (missed.schedule, missed.time.isoformat(), missed.encode().decode())
        connection.execute("INSERT INTO actors_periodic_missed (schedule, time, record) VALUES (?, ?, ?)", row)
        tick_runs.note(connection, TickRun(Pace.DAYS, run))

    report = site.move()

    assert kept(site) == (ROSTER, MARK)
    with rabbitmq_view(site.to.engine, timeout_s=10) as view:
        assert view.missed({"nightly"}) == [missed]
    assert [each.body for each in site.take(site.topology.runs(Pace.DAYS))] == [run]
    assert [report.moved[kind] for kind in ("schedules", "missed", "runs")] == [2, 1, 1]


def test_where_schedulers_have_led_before_nothing_is_moved_without_force(site: Site, tmp_path: object) -> None:
    keep_schedules(site)
    assert site.move().is_over
    [message] = another_file(site)

    with pytest.raises(MigrationRefused, match=r"have led there before.*hourly, nightly.*ACTORS_QUEUE_PREFIX.*--force"):
        site.move()

    assert site.left() == 1
    assert kept(site) == (ROSTER, MARK)
    site.to = replace(site.to, force=True)
    assert site.move().is_over
    watermark = kept(site)[1]
    assert watermark is not None
    assert watermark.leader == "another"
    assert [each.properties.message_id for each in site.take(site.topology.work("default"))] == [message]


def another_file(site: Site) -> list[str]:
    """Begin anew with another file, whose schedules are others; return the ids of its messages."""
    site.url = site.url.replace("actors.db", "another.db")
    site.file = site.opened()
    site.engine = type(site.engine)(replace(site.engine.options, file=site.file))
    later = NOW + timedelta(minutes=1)
    with site.file.write() as connection:
        write_watermark(connection, replace(MARK, mark=Position.behind_all(later), leader="another"))
        write_roster(connection, Roster({"weekly": Entry("cc", later)}))
    return [each.message_id for each in site.send(1)]


def test_schedules_state_is_moved_once_also_where_that_could_not_be_noted(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_schedules(site)
    monkeypatch.setattr("actors.migrating.migration.keep", fail)
    with pytest.raises(ZeroDivisionError):
        site.move()
    monkeypatch.undo()
    assert site.move().is_over
    assert kept(site) == (ROSTER, MARK)
    assert len(site.take(site.topology.periodic().watermark)) == 1  # type: ignore[arg-type]


def fail(*_: object, **__: object) -> None:
    raise ZeroDivisionError


def test_without_schedules_those_of_the_new_place_are_left_alone(site: Site) -> None:
    keep_schedules(site)
    site.move()
    site.url = site.url.replace("actors.db", "another.db")
    site.file = site.opened()
    assert site.move().is_over
    assert kept(site) == (ROSTER, MARK)
