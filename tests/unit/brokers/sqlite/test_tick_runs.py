from __future__ import annotations

from actors.brokers.sqlite import tick_runs
from actors.brokers.sqlite.tick_runs import TickRun
from actors.brokers.topology import MOST_RUNS
from middleware.stores.sqlite import SqliteFile
from periodic.pace import Pace


def test_the_newest_runs_of_a_pace_are_kept(file: SqliteFile) -> None:
    with file.write() as connection:
        for number in range(10):
            tick_runs.note(connection, TickRun(Pace.SECONDS, b"%d" % number), most=3)
        assert tick_runs.newest(connection, Pace.SECONDS) == [b"9", b"8", b"7"]


def test_what_runs_each_second_does_not_push_out_what_runs_each_day(file: SqliteFile) -> None:
    with file.write() as connection:
        tick_runs.note(connection, TickRun(Pace.DAYS, b"nightly"))
        for number in range(MOST_RUNS + 2):
            tick_runs.note(connection, TickRun(Pace.SECONDS, b"%d" % number))

        assert tick_runs.newest(connection, Pace.DAYS) == [b"nightly"]
        [kept] = connection.execute("SELECT count(*) FROM actors_tick_run WHERE pace = 'seconds'").fetchone()
        assert kept == MOST_RUNS
