"""What is handed out in bulk: images as archives and tables, measurement sets as archives, sources as tables."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from app.domain.errors import FileNotAccessible, InvalidValue, NotFound
from app.domain.exports import ExportedSource
from app.domain.images import ImageDetail
from app.repositories.exports import ExportRepository
from app.repositories.ms import MsRepository
from app.services.archives import Folder, Member, names_apart, tar_gz_stream, tar_stream, zip_stream
from app.services.files import DataFiles

_LARGEST_ID = 2**63 - 1


class Download(NamedTuple):
    """A file that is made while it is sent."""

    name: str
    content_type: str
    stream: Callable[[], Iterator[bytes]]


class DownloadService:
    """Files in bulk.

    Parameters
    ----------
    exports, measurement_sets
        What the databases know.
    files
        Finds the files that may be read.
    """

    def __init__(self, exports: ExportRepository, measurement_sets: MsRepository, files: DataFiles) -> None:
        self._exports = exports
        self._measurement_sets = measurement_sets
        self._files = files

    def images(self, ids: Sequence[str]) -> list[ImageDetail]:
        """Those of some images that exist, in the order in which they are named.

        Raises
        ------
        InvalidValue
            None is named.
        NotFound
            None exists.
        """
        found = self._known(ids)
        return [found[name] for name in dict.fromkeys(ids) if name in found]

    def archive(self, ids: Sequence[str], kind: str) -> Download:
        """The files of some images as ``zip`` or ``tar`` (gzipped), with a manifest that tells what is missing.

        Raises
        ------
        InvalidValue, NotFound
            As :meth:`images`.
        FileNotAccessible
            Not one of the files can be read.
        """
        found = self._known(ids)
        paths = {name: image.path if isinstance(image.path, str) else "" for name, image in found.items()}
        names = names_apart(paths.items())
        members = [
            Member(next(names), paths[name], name) if name in paths else Member("", None, name)
            for name in dict.fromkeys(ids)
        ]
        self._insist_on_one(members)
        if kind == "tar":
            return Download("images.tar.gz", "application/gzip", lambda: tar_gz_stream(members, self._files))
        return Download("images.zip", "application/zip", lambda: zip_stream(members, self._files))

    def measurement_set(self, path: str) -> Download:
        """The directory of a measurement set as a tar archive; raises NotFound or FileNotAccessible."""
        recorded = self._measurement_sets.get(path).path
        folder = self._files.folder(recorded)
        name = posixpath.basename(recorded.rstrip("/")) or "ms"
        walk = partial(_walk, folder, name)
        # To tar, what stands before a colon in the name of an archive is a host.
        return Download(
            f"{name.replace(':', '-')}.tar", "application/x-tar", lambda: tar_stream(walk(), self._files, False)
        )

    def sources(self, spellings: Sequence[Sequence[str]]) -> list[ExportedSource]:
        """Those of some sources that exist, in the order in which they are named.

        Parameters
        ----------
        spellings
            For each, the ids that may be meant; the first that exists counts.

        Raises
        ------
        InvalidValue
            None is named.
        NotFound
            None exists.
        """
        if not spellings:
            raise InvalidValue("ids", "name at least one source")
        known = self._exports.sources({id for ids in spellings for id in ids})
        meant = [next((id for id in ids if id in known), None) for ids in spellings]
        found = [known[id] for id in dict.fromkeys(meant) if id is not None]
        if not found:
            raise NotFound("Source", ",".join(ids[0] for ids in spellings))
        return found

    def _known(self, ids: Sequence[str]) -> dict[str, ImageDetail]:
        """Images by id as it was written, in the order in which they are named."""
        if not ids:
            raise InvalidValue("ids", "name at least one image")
        numbers = {name: number for name in ids if (number := _number(name)) is not None}
        known = self._exports.images(set(numbers.values()))
        found = {name: known[number] for name, number in numbers.items() if number in known}
        if not found:
            raise NotFound("Image", ",".join(ids))
        return found

    def _insist_on_one(self, members: Sequence[Member]) -> None:
        """An archive of nothing but a list of what is missing is no answer."""
        refusals = []
        for member in members:
            if member.path is None:
                continue
            try:
                self._files.locate(member.path)
            except FileNotAccessible as error:
                refusals.append(error)
            else:
                return
        raise refusals[0]


def _number(name: str) -> int | None:
    """The id that some text is; ``None`` where no image can have it."""
    number = int(name) if name.isascii() and name.isdigit() and len(name) < 20 else None
    return number if number is not None and number <= _LARGEST_ID else None


def _walk(folder: Path, name: str) -> Iterator[Member | Folder]:
    """Everything in a directory, in order. Links to directories are not followed, and reported as left out."""
    faults: list[OSError] = []
    for where, folders, files in os.walk(folder, onerror=faults.append):
        folders.sort()
        here = posixpath.join(name, os.path.relpath(where, folder)) if where != str(folder) else name
        yield Folder(here)
        linked = [entry for entry in folders if os.path.islink(os.path.join(where, entry))]
        for entry in sorted([*files, *linked]):
            yield Member(posixpath.join(here, entry), os.path.join(where, entry))
    for fault in faults:
        yield Member(f"{name}/{os.path.relpath(fault.filename, folder)}", str(fault.filename))
