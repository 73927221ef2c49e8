"""Each web framework's example, for real: its own test client sends, a worker of its own runs the job."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from services import NotReady
from services.deadline import until
from services.process import PrivateProcess
from services.warden import Warden

FLASK = """
from examples.flask_factory.app import create_app
answer = create_app().test_client().post("/orders/7/receipt", data={"amount": "12.5"})
"""
FASTAPI = """
from fastapi.testclient import TestClient
from examples.fastapi_lifespan.app import app
with TestClient(app) as client:
    answer = client.post("/receipts", json={"order": 7, "amount": "12.5"})
"""
DJANGO = """
import django
django.setup()
from django.test import Client
answer = Client(SERVER_NAME="localhost").post("/orders/7/receipt", {"amount": "12.5"})
"""
ACCEPTED = "assert answer.status_code == 202, answer"


def test_p03_a_flask_factory_and_its_worker_have_one_configuration(
    broker_url: str, redis_url: str, prefix: str, tmp_path: Path
) -> None:
    env = {"FLASK_BROKER_URL": broker_url, "FLASK_STORE_URL": redis_url, "FLASK_RECEIPTS": str(tmp_path / "receipts")}
    assert_a_sent_job_runs(FLASK, "examples.flask_factory.worker", env, prefix, tmp_path)


def test_p03_a_fastapi_application_and_its_worker_have_one_configuration(
    broker_url: str, redis_url: str, prefix: str, tmp_path: Path
) -> None:
    env = {"ACTORS_BROKER_URL": broker_url, "ACTORS_STORE_URL": redis_url, "RECEIPTS": str(tmp_path / "receipts")}
    assert_a_sent_job_runs(FASTAPI, "examples.fastapi_lifespan.tasks", env, prefix, tmp_path)


def test_p03_a_django_site_and_its_worker_have_one_configuration(
    broker_url: str, redis_url: str, prefix: str, tmp_path: Path
) -> None:
    env = {
        "DJANGO_SETTINGS_MODULE": "examples.django_site.settings",
        "SITE_BROKER_URL": broker_url,
        "SITE_STORE_URL": redis_url,
        "SITE_RECEIPTS": str(tmp_path / "receipts"),
    }
    assert_a_sent_job_runs(DJANGO, "examples.django_site.worker", env, prefix, tmp_path)


def assert_a_sent_job_runs(client: str, module: str, env: Mapping[str, str], prefix: str, folder: Path) -> None:
    # Given an application and a worker that know no more than their framework's configuration
    env = os.environ | env | {"ACTORS_QUEUE_PREFIX": prefix}
    command = [sys.executable, "-m", "dramatiq", "actors", module, "-p", "1", "-t", "1"]
    receipt = folder / "receipts" / "7.txt"
    with Warden("example") as warden, PrivateProcess(warden, "worker", command, env) as worker:
        worker.start()
        # When a request makes the application send
        sent = subprocess.run([sys.executable, "-c", client + ACCEPTED], env=env, capture_output=True, text=True)
        assert sent.returncode == 0, sent.stderr
        # Then the worker does the job
        try:
            until(lambda: receipt.exists() and receipt.read_text(), seconds=30, what="the receipt")
        except NotReady as error:
            pytest.fail(f"{error}; the worker's log ends with:\n{worker.log()}")
        assert receipt.read_text() == "12.50 EUR"
