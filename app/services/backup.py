"""Backups of this service's own databases and, on request, of the pipeline's.

A backup is a directory: a copy of each database, and a manifest with their SHA-256. It is made under a hidden name and
renamed when every copy was looked through and is on the disk, so a directory with the name of a backup is a whole one.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from app.config import Settings
from app.db import backup
from app.domain.backups import FORMAT, MANIFEST, BackupFile, BackupRefused, Manifest, directory_name, outdated
from app.queue import engine
from app.services.backup_contents import OF_PIPELINE, OURS, file_name, places, verify, write_manifest
from app.version import VERSION

_UNFINISHED = ".contimg-unfinished-"
_LOCK = ".contimg-lock"


class Made(NamedTuple):
    """A backup that was made, and older ones that were removed for it."""

    directory: Path
    manifest: Manifest
    removed: tuple[str, ...]


class BackupService:
    """Makes backups and removes old ones.

    Parameters
    ----------
    settings
        Where the databases lie, and how long to wait for locks.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._timeout_s = settings.busy_timeout_s
        self._engine = engine.Engine(settings.queue_url, settings.queue_name, settings.api_state_dir)

    def make(self, parent: Path, *, pipeline: bool = False, keep: int | None = None) -> Made:
        """Back up into a new directory below ``parent``; whoever writes to the databases may go on.

        Parameters
        ----------
        parent
            Where backups lie; made if missing, for this user alone.
        pipeline
            Whether the pipeline's databases are copied too.
        keep
            How many backups stay; without it, all of them.

        Raises
        ------
        BackupRefused
            There is nothing to back up, no room for it, or another backup is being made in the same place.
        Busy, DatabaseUnavailable
            A database cannot be read, or is damaged. Nothing of the backup is left behind.
        """
        sources, left_out = self._sources(pipeline)
        if not sources:
            raise BackupRefused("There is nothing to back up yet: " + "; ".join(left_out.values()) + ".")
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone_in(parent):
            taken = os.listdir(parent)
            name = directory_name(time.time(), taken)
            unfinished = parent / f"{_UNFINISHED}{name}"
            try:
                unfinished.mkdir(mode=0o700)
                manifest = self._fill(unfinished, sources, left_out)
                unfinished.rename(parent / name)
            except BaseException as error:
                shutil.rmtree(unfinished, ignore_errors=True)
                if isinstance(error, OSError):
                    raise BackupRefused(f"The backup cannot be written to {parent}: {error.strerror}.") from error
                raise
            backup.sync_directory(parent)
            # The new one is not among those that may go, even if the clock was put back.
            removed = _remove_outdated(parent, taken, keep - 1) if keep is not None else ()
        return Made(parent / name, manifest, removed)

    def prune(self, parent: Path, keep: int) -> tuple[str, ...]:
        """Remove all but the newest backups below ``parent`` without making one: where the disk has no room for it.

        Parameters
        ----------
        parent
            Where backups lie.
        keep
            How many stay, at least one.

        Raises
        ------
        BackupRefused, DatabaseUnavailable
            The newest is not whole, or there is none, or one is being made. Nothing was removed.
        """
        if not parent.is_dir():
            raise BackupRefused(f"There are no backups: {parent} is no directory.")
        with _alone_in(parent):
            taken = os.listdir(parent)
            backups = outdated(taken, 0)
            if not backups:
                raise BackupRefused(f"There are no backups in {parent}.")
            verify(parent / backups[-1])
            return _remove_outdated(parent, taken, keep)

    def _sources(self, pipeline: bool) -> tuple[dict[str, Path], dict[str, str]]:
        """Files to copy by name, and what is left out with the reason."""
        found, left_out = places(self._settings), {}
        if self._engine.kind != "sqlite":
            left_out["queue"] = f"the queue is in {self._engine.kind}, which has backups of its own"
        sources: dict[str, Path] = {}
        for name in (*OURS, *OF_PIPELINE):
            if name in left_out:
                continue
            path = found[name]
            if name in OF_PIPELINE and not pipeline:
                left_out[name] = "the pipeline's databases were not asked for"
            elif not path.is_file():
                left_out[name] = f"{name} does not exist"
            elif any(path.samefile(other) for other in sources.values()):
                left_out[name] = "the same file as another"
            else:
                sources[name] = path
        return sources, left_out

    def _fill(self, directory: Path, sources: Mapping[str, Path], left_out: dict[str, str]) -> Manifest:
        files = []
        for name, source in sources.items():
            target = directory / file_name(name)
            version = backup.copy(source, target, name, timeout_s=self._timeout_s)
            size, sha256 = target.stat().st_size, backup.digest(target)
            files.append(BackupFile(name, target.name, str(source), size, sha256, version))
        made_at, host = datetime.now(UTC).isoformat(timespec="seconds"), socket.gethostname()
        manifest = Manifest(FORMAT, made_at, host, VERSION, backup.SQLITE_VERSION, tuple(files), left_out)
        write_manifest(directory / MANIFEST, manifest)
        backup.sync_directory(directory)
        return manifest


def _remove_outdated(parent: Path, names: list[str], keep: int) -> tuple[str, ...]:
    removed = tuple(outdated(names, keep))
    for name in removed:
        shutil.rmtree(parent / name)
    return removed


@contextmanager
def _alone_in(parent: Path) -> Iterator[None]:
    """Keep others from backing up into the same place, and clear away what a killed backup left there."""
    with (parent / _LOCK).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BackupRefused(f"Another backup is being made in {parent}.") from error
        for left in parent.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(left)
        yield
