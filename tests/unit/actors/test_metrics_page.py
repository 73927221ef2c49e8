"""What a page of metrics says, and in which form."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from actors.errors import SettingsError
from actors.health.pages import page_at
from actors.metrics import sharing
from actors.metrics.page import counted, kept_in, metrics_page
from middleware.metrics import Files, Place, Sample
from middleware.metrics.catalogue import ATTEMPTS, WAIT
from middleware.metrics.sink import SUM

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    labels = ("charge", "default")
    for _ in range(2):
        files = Files(place)
        files.add({Sample(ATTEMPTS, (*labels, "done")): 2, Sample(WAIT, labels, 3): 2, Sample(WAIT, labels, SUM): 0.08})
        files.close()
    return place


def test_who_asks_for_openmetrics_gets_that_and_all_others_what_they_can_read(place: Place) -> None:
    pages = {"/metrics": metrics_page(lambda: kept_in(place))}
    newer = page_at("/metrics", pages, accept=OPENMETRICS)
    older = page_at("/metrics", pages)
    assert newer.content_type.startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")
    assert newer.body.endswith(b"# EOF\n")
    assert older.content_type.startswith("text/plain; version=0.0.4")
    line = b'actors_attempts_total{actor="charge",outcome="done",queue="default"} 4.0\n'
    assert line in newer.body
    assert line in older.body


def test_what_all_processes_have_counted_is_valid_openmetrics(place: Place) -> None:
    page = page_at("/metrics", {"/metrics": metrics_page(lambda: counted(Files(place)))}, accept=OPENMETRICS)
    found = {each.name: each for each in text_string_to_metric_families(page.body.decode())}
    wait = found["actors_attempt_wait_seconds"]
    assert (wait.type, wait.unit) == ("histogram", "seconds")
    buckets = {each.labels["le"]: each.value for each in wait.samples if each.name.endswith("_bucket")}
    assert (buckets["0.025"], buckets["0.05"], buckets["+Inf"]) == (0, 4, 4)
    assert {each.name.rpartition("_")[2]: each.value for each in wait.samples if "le" not in each.labels} == {
        "count": 4,
        "sum": 0.16,
    }


def test_what_the_application_counts_is_kept_beside_ours_unless_it_has_chosen_a_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "actors")
    monkeypatch.setenv(sharing.LIBRARYS, "")  # so that it is undone
    monkeypatch.delenv(sharing.LIBRARYS)
    files = sharing.shared(tmp_path)
    assert files.place.path == tmp_path / "metrics"
    assert os.environ[sharing.LIBRARYS] == str(tmp_path / "metrics")
    # Another process of the instance inherits it, perhaps, and is none that has chosen.
    sharing.shared(tmp_path)
    assert "what the application counts is kept there" not in caplog.text

    monkeypatch.setenv(sharing.LIBRARYS, "/var/lib/shop")
    assert sharing.shared(tmp_path).place.path == tmp_path / "metrics"
    assert os.environ[sharing.LIBRARYS] == "/var/lib/shop"
    assert "PROMETHEUS_MULTIPROC_DIR is /var/lib/shop: what the application counts is kept there" in caplog.text


def test_a_worker_starts_although_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(place: Place) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setenv(sharing.LIBRARYS, str(tmp_path / "metrics"))
    monkeypatch.setattr(Place, "enter", full)
    sharing.shared(tmp_path)
    assert "what ended processes have counted can't be merged now: [Errno 28] No space" in caplog.text


def test_a_directory_that_can_not_be_used_is_an_error_that_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "metrics").write_text("")
    with pytest.raises(SettingsError, match=r"ACTORS_RUNTIME_DIR: .*metrics can't be used: File exists"):
        sharing.shared(tmp_path)
