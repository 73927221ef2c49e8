"""What is shown, and what goes on, while a server is away."""

from __future__ import annotations

import signal

import services
from services.deadline import until
from tests.integration.fleet.site import on_servers
from tests.integration.project import Project

NOWHERE_AMQP = "amqp://guest:secret@127.0.0.1:1/"


def test_workers_outlive_a_silent_store_and_what_there_is_without_a_server_is_shown(
    project: Project, private_redis: services.Redis
) -> None:
    project.env["ACTORS_STORE_URL"] = private_redis.url
    site = on_servers(project)
    with site.running("-m", "dramatiq", "actors", "--processes", "1", "--threads", "2") as (process, out):
        log = out.with_suffix(".err")
        first = site.report(lambda each: each.state == "consuming", "a worker that tells of itself")

        shown = site.status(status=3, ACTORS_BROKER_URL=NOWHERE_AMQP)
        [worker] = shown["workers"]
        assert (worker["pid"], worker["state"]) == (first.pid, "consuming")
        assert (shown["queues"], shown["schedulers"]) == (None, None)
        [outage, other] = shown["problems"]
        assert (outage["is_outage"], outage["subject"]) == (True, "amqp://guest:***@127.0.0.1:1/")
        assert other["level"] == "warning"
        assert other["what"].endswith("and this process amqp://guest:***@127.0.0.1:1/")

        private_redis.kill()
        until(lambda: "reports of this process are not kept" in log.read_text(), seconds=20, what="a warning")

        shown = project.json("status", "--timeout", "5", status=3)
        assert shown["workers"] is None
        assert [each["name"] for each in shown["queues"]] == ["default", "reports"]
        [outage] = [each for each in shown["problems"] if each["is_outage"]]
        assert outage["subject"] == private_redis.url
        ended = project.actors("events", "--follow")
        assert (ended.returncode, ended.stdout) == (3, "")

        private_redis.start()
        site.send("[charge.message(number) for number in range(20)]")
        last = site.report(lambda each: each.outcomes.get("done") == 20, "all that was sent")
        assert last.member == first.member
        assert log.read_text().count("reports of this process are not kept") == 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, log.read_text()
    site.close()
