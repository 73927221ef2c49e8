"""Results, pipelines and groups."""

from __future__ import annotations

import dramatiq

from tests.conformance.brokers.subject import Subject, declare, wait, working


def test_what_an_actor_returns_can_be_asked_for(subject: Subject) -> None:
    message = declare(subject, lambda number: {"twice": 2 * number}).message(21)
    subject.broker.enqueue(message)

    with working(subject):
        assert message.get_result(backend=subject.broker.get_results_backend(), block=True, timeout=10_000) == {
            "twice": 42
        }


def test_a_pipeline_goes_on_with_the_result(subject: Subject) -> None:
    ended: list[int] = []
    double = declare(subject, lambda number: 2 * number, actor_name="double")
    end = declare(subject, ended.append, actor_name="end")

    pipeline = double.message(3) | double.message() | end.message()
    subject.broker.enqueue(pipeline.messages[0])

    with working(subject):
        wait(subject, lambda: ended, "the end")
        wait(subject, lambda: subject.counts() == (0, 0), "an empty queue")
    assert ended == [12]


def test_a_group_s_callback_runs_once_when_all_have_ended(subject: Subject) -> None:
    ran: list[object] = []
    job = declare(subject, ran.append)
    last = declare(subject, lambda: ran.append("all"), actor_name="last")
    group = dramatiq.group([job.message(number) for number in range(10)], broker=subject.broker)
    group.add_completion_callback(last.message())
    group.run()

    with working(subject):
        wait(subject, lambda: "all" in ran, "the callback")
        wait(subject, lambda: subject.counts() == (0, 0), "an empty queue")

    assert ran[-1] == "all"
    assert sorted(ran[:-1], key=str) == list(range(10))
