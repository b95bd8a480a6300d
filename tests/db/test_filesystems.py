"""File systems of other machines are told from our own."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.db.filesystems import is_local

MOUNTS = r"""
22 27 0:21 / /proc rw - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
31 27 0:40 / /data rw shared:2 master:1 - nfs4 store:/export rw,hard
32 31 0:41 / /data/fast rw - xfs /dev/vdb rw
33 27 0:42 / /with\040space rw - fuse.sshfs host: rw
34 27 0:43 / /twice rw - cifs //store/a rw
35 34 0:44 / /twice rw - tmpfs tmpfs rw
36 27 0:45 / /disk rw - fuseblk /dev/vdc rw
broken
"""


@pytest.mark.parametrize(
    ("path", "local"),
    [
        ("/var/lib/x.sqlite3", True), ("/data/x.sqlite3", False), ("/database/x.sqlite3", True),
        ("/data/fast/x.sqlite3", True), ("/data/faster/x.sqlite3", False), ("/with space/a/x.sqlite3", False),
        ("/twice/x.sqlite3", True), ("/disk/x.sqlite3", True),
    ],
)  # fmt: skip
def test_deepest_mount_decides(tmp_path: Path, path: str, local: bool) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    assert is_local(Path(path), mounts) == local


def test_link_leads_to_where_the_file_is(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    there = tmp_path / "there"
    there.mkdir()
    (tmp_path / "link").symlink_to(there)
    mounts.write_text(f"27 1 254:0 / / rw - ext4 /dev/vda rw\n31 27 0:40 / {there} rw - nfs4 store: rw\n")
    assert not is_local(tmp_path / "link" / "x.sqlite3", mounts)


def test_without_a_table_of_mounts_everything_is_local(tmp_path: Path) -> None:
    assert is_local(tmp_path, tmp_path / "absent")
