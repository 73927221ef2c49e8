"""A schedule goes on in the new place: no tick is missed, and none comes twice."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from datetime import datetime, timedelta

from services.deadline import until
from tests.integration.migrating.test_cli_migrate import ON_A_FILE, migrate
from tests.integration.project import Project

# Not idempotent: a tick that came twice would run twice.
TICKING = """
    from pathlib import Path

    from actors import actor
    from middleware import current
    from periodic import every

    @actor(periodic=every(seconds=1), idempotent=False)
    def pulse() -> None:
        with Path("ticks").open("a") as ticks:
            ticks.write(f"{current().message.options['tick']['time']}\\n")
"""


def test_each_tick_before_during_and_after_comes_once(project: Project) -> None:
    project.write("shop_tasks", TICKING)
    with project.process("-m", "periodic", "shop_tasks", **ON_A_FILE):
        until(lambda: in_file(project) >= 3, seconds=30, what="three ticks")
    in_the_file = in_file(project)

    migrate(project)
    with (
        project.process("-m", "periodic", "shop_tasks"),
        project.process("-m", "dramatiq", "actors", "--processes", "1", "--threads", "1"),
    ):
        until(lambda: len(ran(project)) >= in_the_file + 5, seconds=60, what="five ticks more")

    ticks = ran(project)
    assert set(Counter(ticks).values()) == {1}
    first = min(ticks)
    assert sorted(ticks) == [first + timedelta(seconds=number) for number in range(len(ticks))]


def in_file(project: Project) -> int:
    path = project.folder / "actors.db"
    if not path.exists():
        return 0
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        tables = connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'actors_message'").fetchone()
        return int(connection.execute("SELECT count(*) FROM actors_message").fetchone()[0]) if tables[0] else 0


def ran(project: Project) -> list[datetime]:
    path = project.folder / "ticks"
    text = path.read_text() if path.exists() else ""
    return [datetime.fromisoformat(line) for line in text.splitlines()]
