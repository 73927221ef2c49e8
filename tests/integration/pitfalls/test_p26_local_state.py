"""Pitfall 26: the file with the schedule's state is in a folder of a container, and lost with it."""

from collections import Counter
from pathlib import Path

from services.deadline import until
from tests.faults.replica import Replica
from tests.faults.schedulers import Schedulers


def start_on_a_new_disk(schedulers: Schedulers, disk: Path) -> Replica:
    disk.mkdir()
    replica = schedulers.start(folder=disk, HOME=str(disk), TMPDIR=str(disk), XDG_CACHE_HOME=str(disk))
    until(lambda: replica.leads, seconds=30, what="a leader")
    schedulers.wait_for_more(0.5)
    return replica


def test_p26_a_scheduler_writes_no_file_and_another_goes_on_without_its_disk(
    schedulers: Schedulers, tmp_path: Path
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    start_on_a_new_disk(schedulers, one).kill()
    assert list(one.iterdir()) == []
    one.rmdir()
    assert start_on_a_new_disk(schedulers, two).stop() == 0
    assert list(two.iterdir()) == []

    assert schedulers.enqueued().copies == Counter(schedulers.expected())
