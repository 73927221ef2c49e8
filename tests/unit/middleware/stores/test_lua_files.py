"""Each Lua file says what it takes and returns, and why it is atomic; and stays short."""

from pathlib import Path

import pytest

import actors.fleet.redis
import middleware.stores.redis

MODULES = (actors.fleet.redis, middleware.stores.redis)
FILES = sorted(file for module in MODULES for file in (Path(str(module.__file__)).parent / "lua").glob("*.lua"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_lua_file_starts_with_all_that_a_reader_must_know(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    header = "\n".join(line for line in lines if line.startswith("--"))
    assert lines[0].startswith(f"-- {file.stem}: ")
    for word in ("KEYS", "ARGV", "Returns", "tomic"):
        assert word in header


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_lua_file_is_short(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 120
