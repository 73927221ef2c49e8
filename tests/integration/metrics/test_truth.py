"""What is counted is what has happened, to the message, whoever is killed."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack

import pytest

import services
from services.deadline import until
from tests.integration.metrics.shop import Numbers, Page, Scheduler, Shop
from tests.integration.project import Project

# Of each kind of message.
COUNT = 40


@pytest.fixture
def shop(project: Project) -> Shop:
    return Shop(project)


def test_every_counter_is_equal_to_what_has_happened(shop: Shop, rabbitmq_server: services.RabbitMQ) -> None:
    with ExitStack() as stack:
        # Given a leader, which is killed in the midst of its ticks, and an heir
        ticks = stack.enter_context(ExitStack())
        doomed = ticks.enter_context(shop.scheduler())
        until(lambda: doomed.leads, seconds=30, what="a leader")
        heir = stack.enter_context(shop.scheduler())
        until(lambda: role_changes(heir) == {("standing_by",): 1}, seconds=20, what="one that stands by")

        # And work of all kinds; of it two jobs go on when the workers are killed
        with shop.workers("default"):
            sent = shop.send(COUNT)
            until(lambda: shop.attempts() == FIRST, seconds=60, what="all that can be done")
            assert shop.effects()["hold begun"] == 2
            queue = f"{shop.project.prefix}.default.quorum"
            until(lambda: rabbitmq_server.messages()[queue] == 2, seconds=30, what="acks of all else")
            assert counted(shop.worker_page()) == FIRST

        enqueued, missed = ticks_of_two_leaders(shop, doomed, heir, ticks)

        # When others go on, with all that was left, and with dead letters that are replayed
        (shop.project.folder / "mended").touch()
        stack.enter_context(shop.workers("default", "ticks"))
        ended = shop.project.actors("dead", "replay", "--actor", "picky", "--yes")
        assert ended.returncode == 0, ended.stderr
        whole: Numbers = {**FIRST, ("picky", "done"): COUNT, ("hold", "done"): 2, ("tick", "done"): enqueued}
        until(lambda: shop.attempts() == whole, seconds=60, what="all of it")
        until(lambda: counted(shop.worker_page()) == whole, seconds=10, what="all of it in numbers")

        # Then every number is what has happened
        check_workers(shop.worker_page(), whole)
        check_sent(sent, shop.worker_page())
        check_exporter(shop)
        assert missed == shop.periodic("history", "tick", "--limit", "1000").count("missed")
        assert len(list(shop.project.folder.glob("run/*/metrics/*.db"))) <= 8


# What the first workers do, by actor and outcome.
FIRST: Numbers = {
    ("charge", "done"): 4 * COUNT + 1,
    ("flaky", "retried"): 2 * COUNT,
    ("flaky", "done"): COUNT,
    ("broken", "retried"): COUNT,
    ("broken", "dead"): COUNT,
    ("picky", "dead"): COUNT,
    ("once", "done"): COUNT,
    ("fan_out", "done"): COUNT,
    ("line", "done"): 2,
    ("slow", "dead"): 2,
}


def ticks_of_two_leaders(shop: Shop, doomed: Scheduler, heir: Scheduler, ticks: ExitStack) -> tuple[int, int]:
    """Kill the one that leads; return how many ticks are out, and how many records of missed ones there are."""
    until(lambda: out(doomed.page()) >= 10, seconds=20, what="ticks")
    shop.periodic("pause", "tick")
    before = doomed.page()
    assert before.one("actors_scheduler_lateness_seconds_count") == out(before)
    ticks.close()
    until(lambda: heir.leads, seconds=20, what="an heir")
    shop.periodic("resume", "tick")
    until(lambda: out(heir.page()) >= 10, seconds=20, what="more ticks")
    shop.periodic("pause", "tick")
    after = heir.page()
    assert role_changes(heir) == {("standing_by",): 1, ("leading",): 1}
    assert after.one("actors_scheduler_lateness_seconds_count") == out(after)
    assert after.of("actors_scheduler_unconsumed_seconds", "queue").keys() <= {("ticks",)}
    missed = after.one("actors_scheduler_ticks_total", outcome="missed", reason="pause")
    assert missed == after.one("actors_scheduler_ticks_total", outcome="missed")
    return int(out(before) + out(after)), int(missed)


def check_workers(page: Page, whole: Numbers) -> None:
    by_actor: Counter[tuple[str, ...]] = Counter()
    for (actor, _), count in whole.items():
        by_actor[(actor,)] += int(count)
    for histogram in ("actors_attempt_wait_seconds", "actors_attempt_duration_seconds"):
        assert page.of(f"{histogram}_count", "actor") == by_actor
        assert page.of(f"{histogram}_bucket", "actor", le="+Inf") == by_actor
    assert page.of("actors_attempts_total", "actor", outcome="duplicate") == {("once",): COUNT, ("line",): 2}
    assert page.of("actors_time_limit_exceeded_total", "actor") == {("slow",): 2}
    assert page.of("actors_dead_letters_total", "actor", "queue", "reason") == {
        ("broken", "default", "exhausted"): COUNT,
        ("picky", "default", "throws"): COUNT,
        ("slow", "default", "exhausted"): 2,
    }
    assert page.of("actors_replays_total", "actor") == {("picky",): COUNT}
    assert page.one("shop_charged_total") == whole["charge", "done"]
    # The two that were killed ran twice; ticks have no key.
    keys = page.of("actors_idempotency_total", "result")
    assert keys.pop(("later",)) == page.one("actors_attempts_total", outcome="later")
    guarded = sum(whole.values()) - whole["tick", "done"]
    assert keys == {("run",): guarded, ("run_again",): 2, ("duplicate",): COUNT + 2}


def check_sent(producer: Page, workers: Page) -> None:
    of_each = {(name,): COUNT for name in ("flaky", "broken", "picky", "fan_out")}
    assert producer.of("actors_messages_enqueued_total", "actor") == {
        **of_each,
        ("charge",): COUNT + 1,
        ("once",): 2 * COUNT,
        ("hold",): 2,
        ("slow",): 2,
        ("line",): 4,
    }
    # What jobs have sent, without any retry, replay or second look.
    assert workers.of("actors_messages_enqueued_total", "actor") == {("charge",): 3 * COUNT}


def check_exporter(shop: Shop) -> None:
    found = shop.project.json("exporter")["metrics"]
    told = {" ".join([each["name"], *each["labels"].values()]): each["value"] for each in found}
    assert (told["actors_exporter_up"], told["actors_schedules_left_out"]) == (1, 0)
    assert told["actors_queue_messages default dead"] == COUNT + 2
    assert told["actors_queue_messages default ready"] == told["actors_queue_messages ticks ready"] == 0
    assert told["actors_queue_consumers default"] == told["actors_queue_consumers ticks"] == 2
    assert told["actors_dead_letter_oldest_timestamp_seconds default"] > 1e9
    assert told["actors_schedule_last_success_timestamp_seconds tick"] > 1e9
    assert "actors_schedule_next_timestamp_seconds tick" not in told  # it is paused
    assert (told["actors_schedulers leading"], told["actors_schedulers standing_by"]) == (1, 0)


def counted(page: Page) -> Numbers:
    """Attempts that came to something, by actor and outcome."""
    found = page.of("actors_attempts_total", "actor", "outcome")
    return {labels: value for labels, value in found.items() if labels[1] in ("done", "retried", "dead")}


def out(page: Page) -> float:
    return page.one("actors_scheduler_ticks_total", outcome="enqueued")


def role_changes(scheduler: Scheduler) -> Numbers:
    return scheduler.page().of("actors_scheduler_role_changes_total", "role")
