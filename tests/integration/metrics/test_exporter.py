"""The exporter as a process."""

from __future__ import annotations

import json
import re
from http.client import HTTPConnection

from services.deadline import until
from tests.integration.project import Project


def test_it_answers_prometheus_and_probes_until_it_is_told_to_end(project: Project) -> None:
    with project.process("-m", "actors", "exporter", ACTORS_HEALTH_ADDRESS="127.0.0.1:0") as log:
        where = r"probes are answered on 127\.0\.0\.1:(\d+): /live /ready /metrics"
        until(lambda: re.search(where, log.read_text()), seconds=30, what="a word on where it answers")
        found = re.search(where, log.read_text())
        assert found is not None

        def ask(path: str) -> tuple[int, str]:
            connection = HTTPConnection("127.0.0.1", int(found[1]), timeout=20)
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read().decode()
            connection.close()
            return answer.status, body

        status, page = ask("/metrics")
        assert (status, "actors_exporter_up 1.0\n" in page) == (200, True)
        # Nothing is there yet but what the modules declare.
        assert 'actors_queue_messages{queue="default",state="ready"} 0.0\n' in page
        assert 'actors_queue_consumers{queue="reports"} 0.0\n' in page
        assert [(status, json.loads(body)["ok"]) for status, body in map(ask, ("/live", "/ready"))] == [(200, True)] * 2
