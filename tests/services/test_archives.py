"""Archives: readable by others, whole or noticeably broken, and never in memory."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.domain.errors import FileNotAccessible
from app.services.archives import (
    CHUNK_BYTES,
    MANIFEST,
    Archive,
    Folder,
    Member,
    Members,
    names_apart,
    tar_gz_stream,
    tar_stream,
    zip_stream,
)
from app.services.files import DataFiles

KINDS: dict[str, Archive] = {"zip": zip_stream, "tar": tar_stream, "tar.gz": tar_gz_stream}
SIZES = (0, 1, 511, 512, 513, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES)

kinds = pytest.mark.parametrize("stream", KINDS.values(), ids=KINDS)


@pytest.fixture
def files(tmp_path: Path) -> DataFiles:
    return DataFiles((tmp_path,))


def content(archive: bytes) -> dict[str, bytes]:
    """What another reader finds in an archive."""
    if archive.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            assert opened.testzip() is None
            return {info.filename: opened.read(info) for info in opened.infolist()}
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:*") as opened:
        return {
            member.name + ("/" if member.isdir() else ""): file.read() if (file := opened.extractfile(member)) else b""
            for member in opened.getmembers()
        }


@kinds
def test_files_of_every_size_come_out_as_they_went_in(stream: Archive, files: DataFiles, tmp_path: Path) -> None:
    wanted, members = {}, []
    for size in SIZES:
        path = tmp_path / f"{size}.fits"
        wanted[path.name] = os.urandom(size)
        path.write_bytes(wanted[path.name])
        members.append(Member(path.name, str(path), str(size)))
    found = content(b"".join(stream(members, files, True)))
    manifest = json.loads(found.pop(MANIFEST))
    assert found == wanted
    assert [(line["id"], line["file"], line["bytes"], line["status"]) for line in manifest] == [
        (str(size), f"{size}.fits", size, "ok") for size in SIZES
    ]


@kinds
def test_what_may_not_be_read_is_listed_and_left_out(stream: Archive, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret").write_text("secret")
    (root / "link.fits").symlink_to(tmp_path / "secret")
    (root / "state.sqlite3").write_text("database")
    (root / "good.fits").write_text("good")
    os.mkfifo(root / "pipe.fits")
    names = ["gone.fits", "link.fits", "state.sqlite3", "pipe.fits", "good.fits"]
    members = [*(Member(name, str(root / name), name) for name in names), Member("", None, "77")]
    found = content(b"".join(stream(members, DataFiles((root,)), True)))
    manifest = {line["id"]: (line["file"], line["status"]) for line in json.loads(found.pop(MANIFEST))}
    assert found == {"good.fits": b"good"}
    assert manifest.pop("good.fits") == ("good.fits", "ok")
    assert manifest.pop("77") == (None, "no such image")
    assert set(manifest.values()) == {(None, "not accessible")}
    assert len(manifest) == 4


@kinds
def test_manifest_is_left_away_where_it_has_nothing_to_tell(stream: Archive, files: DataFiles, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    whole: Members = [Folder("ms"), Folder("ms/SUB"), Member("ms/SUB/a", str(tmp_path / "a"))]
    assert content(b"".join(stream(whole, files, False))) == {"ms/": b"", "ms/SUB/": b"", "ms/SUB/a": b"a"}
    assert MANIFEST in content(b"".join(stream([*whole, Member("b", str(tmp_path / "b"))], files, False)))


@kinds
def test_file_that_shrinks_breaks_the_stream_off(stream: Archive, files: DataFiles, tmp_path: Path) -> None:
    path = tmp_path / "shrinking.fits"
    path.write_bytes(os.urandom(4 * CHUNK_BYTES))
    going = stream([Member("a", str(path))], files, True)
    sent = [next(going), next(going)]
    os.truncate(path, CHUNK_BYTES)
    with pytest.raises(FileNotAccessible):
        sent.extend(going)
    with pytest.raises((zipfile.BadZipFile, tarfile.ReadError, EOFError)):
        content(b"".join(sent))


@kinds
def test_file_that_grows_is_packed_as_it_was(stream: Archive, files: DataFiles, tmp_path: Path) -> None:
    path = tmp_path / "growing.fits"
    path.write_bytes(b"x" * CHUNK_BYTES * 2)
    sent = []
    for chunk in stream([Member("a", str(path))], files, True):
        sent.append(chunk)
        with path.open("ab") as more:
            more.write(b"y" * 1000)
    assert content(b"".join(sent))["a"] == b"x" * CHUNK_BYTES * 2


@kinds
def test_client_that_goes_away_leaves_no_file_open(stream: Archive, files: DataFiles, tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    path.write_bytes(os.urandom(8 * CHUNK_BYTES))
    before = len(os.listdir("/proc/self/fd"))
    going = stream([Member("a", str(path))], files, True)
    for _ in range(3):
        next(going)
    going.close()  # type: ignore[attr-defined]
    assert len(os.listdir("/proc/self/fd")) == before


@kinds
def test_memory_does_not_grow_with_the_files(stream: Archive, files: DataFiles, tmp_path: Path) -> None:
    path = tmp_path / "big.fits"
    with path.open("wb") as file:
        file.truncate(48 * 2**20)
    next(iter(stream([], files, True)))
    tracemalloc.start()
    sent = sum(len(chunk) for chunk in stream([Member(f"{n}", str(path)) for n in range(2)], files, True))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sent > 0
    assert peak < 3 * 2**20


def test_zip_of_more_than_four_gigabytes_says_so(files: DataFiles, tmp_path: Path) -> None:
    """Only the begin is looked at: the size decides before the first byte is read."""
    path = tmp_path / "huge.fits"
    with path.open("wb") as file:
        file.truncate(5 * 2**30)
    stream = zip_stream([Member("huge.fits", str(path))], files, True)
    head = next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert head[:4] == b"PK\x03\x04"
    name_length = int.from_bytes(head[26:28], "little")
    assert head[30 + name_length :][:2] == b"\x01\x00", "sizes of 64 bits stand in an extra field"
    tar_head = next(tar_stream([Member("huge.fits", str(path))], files, True))
    assert b"5368709120" in tar_head or tarfile.TarInfo.frombuf(tar_head[-512:], "utf-8", "strict").size == 5 * 2**30


def test_archives_are_unpacked_by_the_usual_tools_as_they_come_in(files: DataFiles, tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    path.write_bytes(os.urandom(100_000))
    archive = b"".join(tar_gz_stream([Member("a.fits", str(path))], files, True))
    out = tmp_path / "out"
    out.mkdir()
    subprocess.run(["tar", "-xz"], input=archive, cwd=out, check=True)
    assert (out / "a.fits").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        ([("1", "/a/x.fits"), ("2", "/b/x.fits"), ("3", "/c/X.FITS")], ["x.fits", "2_x.fits", "3_X.FITS"]),
        ([("1", "/a/2_x"), ("3", "/a/x"), ("2", "/b/x"), ("2", "/c/x")], ["2_x", "x", "2_2_x", "2_3_x"]),
        ([("1", f"/a/{MANIFEST}")], [f"1_{MANIFEST}"]),
        (
            [("1", "/a/..\\..\\evil"), ("2", "/a/c:x"), ("3", "/a/new\nline"), ("4", "/a/T1:2")],
            [".._.._evil", "c_x", "new_line", "T1:2"],
        ),
        ([("1", "/a/.."), ("2", "/")], ["_", "2__"]),
        ([("1", "/a/été.fits"), ("2", "/a/folder/")], ["été.fits", "folder"]),
    ],
)
def test_names_in_an_archive_are_apart_and_stay_in_their_folder(paths: list[tuple[str, str]], names: list[str]) -> None:
    assert list(names_apart(paths)) == names


def chunks(make: Callable[[], Iterator[bytes]]) -> list[int]:
    return [len(chunk) for chunk in make()]


@kinds
def test_parts_are_small(stream: Archive, files: DataFiles, tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    path.write_bytes(os.urandom(5 * CHUNK_BYTES))
    assert max(chunks(lambda: stream([Member("a", str(path))], files, True))) < 2 * CHUNK_BYTES
