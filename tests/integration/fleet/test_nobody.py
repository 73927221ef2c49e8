"""What is shown where nobody works."""

from __future__ import annotations

from tests.integration.fleet.site import Site

SCHEDULED = """
    from actors import actor
    from periodic import every

    @actor
    def charge(order_id: int) -> None: ...

    @actor(periodic=every(hours=1), queue_name="reports")
    def report() -> None: ...
"""


def test_messages_that_nobody_takes_and_schedules_that_nobody_fires_are_errors(site: Site) -> None:
    site.project.write("shop_tasks", SCHEDULED)
    [unled] = site.project.json("status", status=1)["problems"]
    assert unled["subject"] == "schedulers"
    assert not (site.project.folder / "jobs.db").exists()

    site.send("[charge.message(1), charge.message(2)]")
    shown = site.project.json("status", status=1)
    problems = {each["subject"]: each["what"] for each in shown["problems"]}
    assert set(problems) == {"default", "schedulers"}
    assert problems["default"] == "2 messages are ready, and nobody takes them"
    assert problems["schedulers"].startswith("no scheduler leads, since none is connected")
