"""deploy/kubernetes, which no cluster reads here: what it promises, and that all it names is there."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from dramatiq.cli import make_argument_parser

from actors.cli.app import app
from actors.configuration import PREFIX, Settings
from actors.health.address import split

FOLDER = Path(__file__).parents[3] / "deploy" / "kubernetes"
DOCUMENTS: list[dict[str, Any]] = [
    document
    for path in sorted(FOLDER.glob("*.yaml"))
    if path.name != "kustomization.yaml"
    for document in yaml.safe_load_all(path.read_text())
]
DEPLOYMENTS = {each["metadata"]["name"]: each["spec"] for each in DOCUMENTS if each["kind"] == "Deployment"}
PODS = {name: spec["template"]["spec"] for name, spec in DEPLOYMENTS.items()}
CONTAINERS = {name: pod["containers"][0] for name, pod in PODS.items()}
SETTINGS = next(each for each in DOCUMENTS if each["kind"] == "ConfigMap")
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")


def variables(name: str) -> dict[str, str]:
    """The environment of a container, but for its Secret."""
    return {**SETTINGS["data"], **{each["name"]: each["value"] for each in CONTAINERS[name]["env"]}}


def lasts_s(probe: dict[str, Any]) -> int:
    """For how long it may fail, in seconds."""
    return int(probe["periodSeconds"] * probe["failureThreshold"])


def test_p25_it_has_one_deployment_a_role_with_its_own_command() -> None:
    assert set(DEPLOYMENTS) == {"actors-worker", "actors-scheduler", "actors-exporter"}
    assert all(len(pod["containers"]) == 1 for pod in PODS.values())
    assert CONTAINERS["actors-worker"]["command"][:2] == ["dramatiq", "actors"]
    assert CONTAINERS["actors-scheduler"]["command"] == ["python", "-m", "periodic"]
    executable, command = CONTAINERS["actors-exporter"]["command"]
    assert executable == "actors"
    assert command in {each.name or getattr(each.callback, "__name__", "") for each in app.registered_commands}
    assert DEPLOYMENTS["actors-scheduler"]["replicas"] == DEPLOYMENTS["actors-worker"]["replicas"] == 2


def test_all_files_are_applied_and_none_names_a_namespace() -> None:
    applied = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]

    assert sorted(applied) == sorted(path.name for path in FOLDER.glob("*.yaml") if path.name != "kustomization.yaml")
    assert all("namespace" not in each["metadata"] for each in DOCUMENTS)


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_every_setting_is_known(name: str) -> None:
    given = {variable.removeprefix(PREFIX).lower() for variable in variables(name) if variable.startswith(PREFIX)}

    assert given <= set(Settings.model_fields)
    assert given >= {"health_address", "runtime_dir", "modules"}
    # Of a Service called actors.
    assert PODS[name]["enableServiceLinks"] is False


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_p25_each_is_probed_over_http_where_it_answers(name: str) -> None:
    container = CONTAINERS[name]
    [port] = container["ports"]

    assert split(variables(name)["ACTORS_HEALTH_ADDRESS"]) == ("", port["containerPort"])
    asked = {probe: container[probe]["httpGet"] for probe in PROBES}
    assert all(each["port"] == port["name"] for each in asked.values())
    assert [asked[probe]["path"] for probe in PROBES] == ["/live", "/live", "/ready"]


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_job_may_hold_the_interpreter_for_as_long_as_a_process_may_be_silent(name: str) -> None:
    default_s = Settings.model_fields["stuck_after_s"].default

    assert lasts_s(CONTAINERS[name]["livenessProbe"]) >= default_s


def test_a_pod_of_a_worker_has_more_grace_than_its_jobs() -> None:
    _, *arguments = CONTAINERS["actors-worker"]["command"]
    parsed = make_argument_parser().parse_args(arguments)

    # A second until it is noticed, and five for what is being published.
    assert parsed.worker_shutdown_timeout / 1000 + 6 <= PODS["actors-worker"]["terminationGracePeriodSeconds"]


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_each_has_limits_and_no_rights(name: str) -> None:
    pod, container = PODS[name], CONTAINERS[name]

    assert set(container["resources"]["requests"]) == {"cpu", "memory"}
    assert "memory" in container["resources"]["limits"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    # What is written is written there.
    assert variables(name)["ACTORS_RUNTIME_DIR"] in {each["mountPath"] for each in container["volumeMounts"]}
    assert {each["name"] for each in container["volumeMounts"]} == {each["name"] for each in pod["volumes"]}


def test_what_is_selected_is_labelled_so_and_workers_and_schedulers_are_not_all_evicted_at_once() -> None:
    for name, spec in DEPLOYMENTS.items():
        assert (
            spec["selector"]["matchLabels"]
            == spec["template"]["metadata"]["labels"]
            == {"app.kubernetes.io/name": name}
        )
    budgets = {each["metadata"]["name"]: each["spec"] for each in DOCUMENTS if each["kind"] == "PodDisruptionBudget"}
    assert set(budgets) == {"actors-worker", "actors-scheduler"}
    for name, spec in budgets.items():
        assert spec["maxUnavailable"] < DEPLOYMENTS[name]["replicas"]
        assert spec["selector"] == DEPLOYMENTS[name]["selector"]
