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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from app.config import Settings
from app.db import backup
from app.domain.backups import (
    FORMAT,
    MANIFEST,
    BackupFile,
    BackupRefused,
    Manifest,
    Rotation,
    dated_after,
    directory_name,
    outdated,
)
from app.queue import engine
from app.services.backup_contents import OF_PIPELINE, OURS, file_name, places, verify, write_manifest
from app.version import VERSION

_UNFINISHED = ".contimg-unfinished-"
_LOCK = ".contimg-lock"


class Made(NamedTuple):
    """A backup that was made, and what became of older ones."""

    directory: Path
    manifest: Manifest
    rotation: Rotation


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
            There is nothing to back up, no room for it, ``parent`` cannot be written to, or another backup is being
            made there.
        Busy, DatabaseUnavailable
            A database cannot be read, or is damaged. Nothing of the backup is left behind.
        """
        sources, left_out = self._sources(pipeline)
        if not sources:
            raise BackupRefused("There is nothing to back up yet: " + "; ".join(left_out.values()) + ".")
        with _refusing(parent):
            parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _alone_in(parent):
                at, older = time.time(), _directories(parent)
                name = directory_name(at, os.listdir(parent))
                unfinished = parent / f"{_UNFINISHED}{name}"
                try:
                    unfinished.mkdir(mode=0o700)
                    manifest = self._fill(unfinished, sources, left_out)
                    unfinished.rename(parent / name)
                except BaseException:
                    shutil.rmtree(unfinished, ignore_errors=True)
                    raise
                backup.sync_directory(parent)
                # The new one is not among those that may go, even if the clock was put back.
                rotation = _rotate(parent, older, keep - 1, at) if keep is not None else Rotation()
        return Made(parent / name, manifest, rotation)

    def prune(self, parent: Path, keep: int) -> Rotation:
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
            The newest is not whole, or there is none but such as are dated in the future, or one is being made.
            Nothing was removed.
        """
        with _refusing(parent):
            if not parent.is_dir():
                raise BackupRefused(f"There are no backups: {parent} is no directory.")
            with _alone_in(parent):
                at, names = time.time(), _directories(parent)
                in_future = dated_after(names, at)
                backups = outdated(set(names) - set(in_future), 0)
                if not backups:
                    but = f" but such as are dated in the future: {', '.join(in_future)}" if in_future else ""
                    raise BackupRefused(f"There are no backups in {parent}{but}.")
                verify(parent / backups[-1])
                return _rotate(parent, names, keep, at)

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


def _directories(parent: Path) -> list[str]:
    """Names of what may be a backup of ours: one that was moved away and left a link is its owner's to remove."""
    with os.scandir(parent) as entries:
        return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]


def _rotate(parent: Path, names: Sequence[str], keep: int, at: float) -> Rotation:
    """Remove all but the newest; one that cannot be removed does not keep the others from it.

    What is dated after ``at`` was made while a clock was ahead. It may be older than any other, or the newest: it is
    neither counted nor removed.
    """
    in_future = dated_after(names, at)
    removed, failed = [], {}
    for name in outdated(set(names) - set(in_future), keep):
        try:
            shutil.rmtree(parent / name)
        except OSError as error:
            failed[name] = str(error.strerror)
        else:
            removed.append(name)
    return Rotation(tuple(removed), tuple(in_future), failed)


@contextmanager
def _refusing(parent: Path) -> Iterator[None]:
    """Say in one sentence what the file system has against it."""
    try:
        yield
    except OSError as error:
        raise BackupRefused(f"{parent} cannot be used for backups: {error.strerror}.") from error


@contextmanager
def _alone_in(parent: Path) -> Iterator[None]:
    """Keep others from backing up into the same place, and clear away what a killed backup left there."""
    with (parent / _LOCK).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BackupRefused(f"Another backup is being made in {parent}.") from error
        for left in parent.glob(f"{_UNFINISHED}*"):
            # No backup is put off for what cannot be removed, or for what somebody else gave such a name.
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left, ignore_errors=True)
            else:
                with suppress(OSError):
                    left.unlink()
        yield
