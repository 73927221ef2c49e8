"""Pitfall 34: each scheduled job is a new process without the application's context, and its last result is lost."""

from tests.integration.periodic.shop import Shop

TASKS = """
    from actors import actor
    from periodic import every

    ran = []  # what is made once a process, such as a pool of connections

    @actor(periodic=every(seconds=1))
    def pulse() -> int:
        ran.append(1)
        return len(ran)
"""


def test_p34_ticks_run_in_a_warm_worker_and_their_results_are_kept_when_all_has_ended(shop: Shop) -> None:
    shop.project.write("shop_tasks", TASKS)
    with shop.open():
        shop.wait_for_records(3)
        row = shop.row("pulse")
        assert row["next"] is not None

    # All processes have ended; what they have done is known.
    events = shop.json("history", "pulse", "--limit", "1000")["events"]
    assert len({event["worker"] for event in events}) == 1
    assert sorted(int(event["result"]) for event in events) == list(range(1, len(events) + 1))
    last = shop.row("pulse")["last"]
    assert (last["message_id"], last["outcome"]) == (events[0]["message_id"], "done")
    assert last["duration_ms"] is not None
