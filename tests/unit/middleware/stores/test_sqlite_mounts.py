"""Which file system a folder is on, by Linux's table of mounts."""

from pathlib import Path

import pytest

from middleware.stores.sqlite import mounts

TABLE = r"""22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:40 / /srv rw,relatime shared:12 - nfs4 files:/srv rw,vers=4.2
31 30 254:0 /data /srv/local rw,relatime - ext4 /dev/vda rw
32 22 0:41 / /mnt/two\040words rw - cifs //files/share rw
33 22 0:42 / /home/ann/remote rw - fuse.sshfs ann@host:/ rw
34 22 0:43 / /over rw - nfs files:/over rw
35 34 0:44 / /over rw - tmpfs tmpfs rw
36 22 0:45 / /snap rw - fuse.squashfuse image ro
"""


@pytest.mark.parametrize(
    ("folder", "place", "kind"),
    [
        ("/", "/", "ext4"),
        ("/var/lib", "/", "ext4"),
        ("/srv", "/srv", "nfs4"),
        ("/srv/app", "/srv", "nfs4"),
        ("/srvapp", "/", "ext4"),
        ("/srv/local/app", "/srv/local", "ext4"),
        ("/mnt/two words/app", "/mnt/two words", "cifs"),
        ("/over/app", "/over", "tmpfs"),
    ],
)
def test_a_folder_is_on_the_last_and_closest_mount_above_it(folder: str, place: str, kind: str) -> None:
    assert mounts.mount_of(folder, TABLE) == (place, kind)


@pytest.mark.parametrize(
    ("folder", "shared"),
    [
        ("/var/lib", ""),
        ("/srv/app", "nfs4, mounted at /srv"),
        ("/mnt/two words", "cifs, mounted at /mnt/two words"),
        ("/home/ann/remote", "fuse.sshfs, mounted at /home/ann/remote"),
        ("/over", ""),
        ("/snap", ""),
    ],
)
def test_what_machines_share_is_told_from_what_is_local(
    folder: str, shared: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(TABLE)
    monkeypatch.setattr(mounts, "TABLE", table)
    assert mounts.shared_mount(Path(folder)) == shared


def test_a_system_without_such_a_table_shares_nothing_that_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mounts, "TABLE", tmp_path / "missing")
    assert mounts.shared_mount(Path("/srv")) == ""
