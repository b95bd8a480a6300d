"""Archives as streams of bytes: many files go out one after the other, and none is held in memory or copied to disk.

A ZIP's entries are deflated at level 0, which stores them: noise hardly compresses (a tenth is won, at a twentieth of
the speed), while deflated entries, unlike stored ones, tell a reader where they end, so that the archive can be
unpacked while it still comes in. A file that changes while it is read ends the stream in the middle, which every
reader of either format notices, rather than with an archive that is wrong.
"""

from __future__ import annotations

import os
import stat
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import IO, NamedTuple

import orjson

from app.domain.errors import FileNotAccessible
from app.services.files import DataFiles

MANIFEST = "MANIFEST.json"
CHUNK_BYTES = 256 * 1024
_GZIP_LEVEL = 1
_GZIP_FORMAT = 31
_TAR_BLOCK = 512
# A ZIP knows the years from 1980 to 2107.
_ZIP_SINCE_S, _ZIP_UNTIL_S = 315_619_200.0, 4_354_732_800.0


class Member(NamedTuple):
    """A file to pack: its name in the archive, where it lies (``None``: nowhere), and what it is to whoever asked."""

    name: str
    path: str | None
    id: str | None = None


class Folder(NamedTuple):
    """A directory to make when unpacking."""

    name: str


class Packed(NamedTuple):
    """What became of a member, for the manifest."""

    id: str | None
    name: str | None
    path: str | None
    bytes: int
    status: str


Members = Iterable[Member | Folder]
Archive = Callable[[Members, DataFiles, bool], Iterator[bytes]]


def zip_stream(members: Members, files: DataFiles, always_manifest: bool = True) -> Iterator[bytes]:
    """Bytes of a ZIP archive, with a manifest at its end.

    Parameters
    ----------
    members
        What to pack; looked at as the archive proceeds.
    files
        Finds the files; one it refuses is left out and listed as such.
    always_manifest
        Whether there is a manifest even if nothing was left out.
    """
    outbox = _Outbox()
    manifest: list[Packed] = []
    with zipfile.ZipFile(outbox, "w", zipfile.ZIP_DEFLATED, compresslevel=0) as archive:
        for member, file in _opened(members, files, manifest):
            if file is None:
                archive.writestr(_zip_info(f"{member.name}/", time.time(), 0), b"")
                continue
            with file:
                status = os.fstat(file.fileno())
                with archive.open(_zip_info(member.name, status.st_mtime, status.st_size), "w") as entry:
                    for chunk in _exactly(file, status.st_size, member.name):
                        entry.write(chunk)
                        yield outbox.take()
        if always_manifest or _left_out(manifest):
            text = _manifest_text(manifest)
            archive.writestr(_zip_info(MANIFEST, time.time(), len(text)), text)
    yield outbox.take()


def tar_stream(members: Members, files: DataFiles, always_manifest: bool = True) -> Iterator[bytes]:
    """Bytes of a tar archive (POSIX.1-2001, pax); parameters as of :func:`zip_stream`."""
    manifest: list[Packed] = []
    for member, file in _opened(members, files, manifest):
        if file is None:
            yield _tar_header(member.name, time.time(), None)
            continue
        with file:
            status = os.fstat(file.fileno())
            yield _tar_header(member.name, status.st_mtime, status.st_size)
            yield from _exactly(file, status.st_size, member.name)
        yield _tar_padding(status.st_size)
    if always_manifest or _left_out(manifest):
        text = _manifest_text(manifest)
        yield _tar_header(MANIFEST, time.time(), len(text)) + text + _tar_padding(len(text))
    yield bytes(2 * _TAR_BLOCK)


def tar_gz_stream(members: Members, files: DataFiles, always_manifest: bool = True) -> Iterator[bytes]:
    """Bytes of a tar archive, gzipped; parameters as of :func:`zip_stream`."""
    compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_FORMAT)
    for chunk in tar_stream(members, files, always_manifest):
        packed = compressor.compress(chunk)
        if packed:
            yield packed
    yield compressor.flush()


def names_apart(paths: Iterable[tuple[str, str]]) -> Iterator[str]:
    """A name in the archive for each file, given by number and path: no two alike, on any file system.

    The name is the file's own, with its number in front where another has it already.
    """
    taken: set[str] = {MANIFEST.casefold()}
    for number, path in paths:
        own = _tame(os.path.basename(path.rstrip("/")))
        name, attempt = own, 1
        while name.casefold() in taken:
            name = f"{number}_{own}" if attempt == 1 else f"{number}_{attempt}_{own}"
            attempt += 1
        taken.add(name.casefold())
        yield name


class _Outbox:
    """A file without a position that holds what was written until it is taken."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._chunks.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""

    def take(self) -> bytes:
        taken = b"".join(self._chunks)
        self._chunks.clear()
        return taken


def _opened(
    members: Members, files: DataFiles, manifest: list[Packed]
) -> Iterator[tuple[Member | Folder, IO[bytes] | None]]:
    """Members with their files open, folders without; what cannot be opened goes to the manifest alone."""
    for member in members:
        if isinstance(member, Folder):
            yield member, None
            continue
        file = _open(member, files)
        if file is None:
            missing = "not accessible" if member.path is not None else "no such image"
            manifest.append(Packed(member.id, None, member.path, 0, missing))
            continue
        size = os.fstat(file.fileno()).st_size
        manifest.append(Packed(member.id, member.name, member.path, size, "ok"))
        yield member, file


def _open(member: Member, files: DataFiles) -> IO[bytes] | None:
    if member.path is None:
        return None
    try:
        # What was found to be a file may be something else by now: no link is followed, nothing is waited for.
        number = os.open(files.locate(member.path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (FileNotAccessible, OSError):
        return None
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        return None
    return os.fdopen(number, "rb", buffering=0)


def _exactly(file: IO[bytes], size: int, name: str) -> Iterator[bytes]:
    """The first bytes of a file, in chunks; FileNotAccessible where there are fewer."""
    left = size
    while left:
        chunk = file.read(min(left, CHUNK_BYTES))
        if not chunk:
            raise FileNotAccessible(name)
        left -= len(chunk)
        yield chunk


def _left_out(manifest: list[Packed]) -> list[Packed]:
    return [packed for packed in manifest if packed.name is None]


def _manifest_text(manifest: list[Packed]) -> bytes:
    lines = [
        {"id": packed.id, "file": packed.name, "bytes": packed.bytes, "path": packed.path, "status": packed.status}
        for packed in manifest
    ]
    return orjson.dumps(lines, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _zip_info(name: str, modified_s: float, size: int) -> zipfile.ZipInfo:
    moment = time.gmtime(min(max(modified_s, _ZIP_SINCE_S), _ZIP_UNTIL_S))
    info = zipfile.ZipInfo(name, moment[:6])
    info.compress_type = zipfile.ZIP_DEFLATED
    info._compresslevel = 0  # type: ignore[attr-defined]
    info.file_size = size
    info.external_attr = (0o40755 << 16 | 0x10) if name.endswith("/") else 0o100644 << 16
    return info


def _tar_header(name: str, modified_s: float, size: int | None) -> bytes:
    """Header of a file of some size, or of a directory (``None``)."""
    info = tarfile.TarInfo(name)
    info.mtime = max(0, int(modified_s))
    info.mode = 0o644
    if size is None:
        info.type, info.mode = tarfile.DIRTYPE, 0o755
    else:
        info.size = size
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _tar_padding(size: int) -> bytes:
    return bytes(-size % _TAR_BLOCK)


def _tame(name: str) -> str:
    """A name that stays within its folder wherever it is unpacked: no separators, no drive of Windows."""
    tamed = "".join("_" if letter in "\\/" or not letter.isprintable() else letter for letter in name)
    tamed = f"{tamed[0]}_{tamed[2:]}" if tamed[1:2] == ":" else tamed
    return "_" if tamed.strip(".") == "" else tamed
