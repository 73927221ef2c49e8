"""Alerts and dashboard name what there is; each alert says what to do, and has tests that promtool runs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from middleware.failure import Reason
from tests.unit.deploy.queries import problems, values

DEPLOY = Path(__file__).parents[3] / "deploy"
RULES = DEPLOY / "prometheus" / "alerts.yaml"
TESTS = RULES.with_name("alerts_test.yaml")
ALERTS: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
]
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]

# The values that labels have, of those that are a closed set.
KNOWN = {
    "outcome": {
        "done",
        "retried",
        "dead",
        "later",
        "duplicate",
        "aborted",
        "requeued",
        "skipped",
        "enqueued",
        "failed",
        "missed",
    },
    "state": {"ready", "delayed", "unacked", "dead"},
    "reason": {*Reason, "coalesce", "cap", "pause"},
    "role": {"leading", "standing_by", "refusing", "connecting", "silent"},
    "result": {"run", "run_again", "duplicate", "later", "unprotected"},
}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_names_what_there_is_and_says_what_to_do(alert: dict[str, Any]) -> None:
    assert list(problems(alert["expr"])) == []
    assert [pair for pair in values(alert["expr"]) if pair[0] in KNOWN and pair[1] not in KNOWN[pair[0]]] == []
    assert set(alert["annotations"]) == {"summary", "description", "action"}
    assert alert["labels"]["severity"] in ("warning", "critical")
    # What its text names must be left of the series when the alert fires.
    text = " ".join(alert["annotations"].values())
    grouped = re.findall(r"\bby \(([^)]*)\)", alert["expr"])
    for label in set(re.findall(r"\$labels\.(\w+)", text)):
        assert not grouped or any(label in labels for labels in grouped), label


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_names_what_there_is(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        query = target["expr"].replace("$__rate_interval", "5m")
        assert list(problems(query)) == []
        pairs = [pair for pair in values(query) if not pair[1].startswith("$")]
        assert [pair for pair in pairs if pair[0] in KNOWN and pair[1] not in KNOWN[pair[0]]] == []


def test_what_there_is_not_is_found() -> None:
    assert list(problems("rate(actors_attempt_total[5m])")) == [
        "actors_attempt_total: no such series",
        "'rate(actors_attempt_total[5m])' names no series",
    ]
    assert list(problems('sum by (who) (actors_attempts_total{outcom="done"})')) == [
        "actors_attempts_total: no label 'outcom'",
        "'who' is a label of nothing in 'sum by (who) (actors_attempts_total{outcom=\"done\"})'",
    ]


def test_panels_do_not_lie_upon_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        mine = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not mine & taken, panel["title"]
        taken |= mine
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_each_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    tested = [
        (rule["alertname"], bool(rule["exp_alerts"]))
        for test in yaml.safe_load(TESTS.read_text())["tests"]
        for rule in test["alert_rule_test"]
    ]
    assert sorted(tested) == sorted((alert["alert"], fires) for alert in ALERTS for fires in (True, False))


def test_what_the_tests_of_alerts_are_given_names_what_there_is() -> None:
    for test in yaml.safe_load(TESTS.read_text())["tests"]:
        for given in test["input_series"]:
            assert list(problems(given["series"])) == []


def check(*arguments: str) -> None:
    ended = subprocess.run(["promtool", *arguments], cwd=RULES.parent, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stdout + ended.stderr


# Where promtool is not at hand it is no test, and not one that passes; CONTRIBUTING.md says so.
if shutil.which("promtool"):

    def test_promtool_finds_that_each_alert_fires_when_it_should() -> None:
        check("check", "rules", RULES.name)
        check("test", "rules", TESTS.name)
