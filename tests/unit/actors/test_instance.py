"""Where the processes of one instance leave what they share."""

from __future__ import annotations

import stat
import tempfile
from pathlib import Path

import pytest

from actors.errors import SettingsError
from actors.instance import instance_dir


def test_each_address_has_a_directory_of_its_own_for_this_user_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    first, second = instance_dir(None, ":8081"), instance_dir(None, "[::1]:8082")

    assert first != second
    assert first.is_relative_to(tmp_path)
    assert stat.S_IMODE(first.stat().st_mode) == 0o700
    assert instance_dir(None, ":8081") == first


def test_the_one_of_the_settings_is_used(tmp_path: Path) -> None:
    assert instance_dir(tmp_path / "run", ":8081").is_relative_to(tmp_path / "run")


def test_one_that_can_not_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(SettingsError, match=r"ACTORS_RUNTIME_DIR: .* can't be made: .*; name a directory"):
        instance_dir(tmp_path / "file", ":8081")


def test_one_in_which_anybody_may_write_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    instance_dir(None, ":8081").parent.chmod(0o777)

    with pytest.raises(SettingsError, match="anybody may write there"):
        instance_dir(None, ":8081")
