"""Backups of this service's own databases and, on request, of the pipeline's; and what was backed up put back.

A backup is a directory: a copy of each database, and a manifest with their SHA-256. It is made under a hidden name and
renamed when every copy was looked through and is on the disk, so a directory with the name of a backup is a whole one.
"""

from __future__ import annotations

import fcntl
import json
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
from app.db import backup, state
from app.domain.backups import (
    FORMAT,
    MANIFEST,
    BackupFile,
    BackupRefused,
    Manifest,
    directory_name,
    is_backup_name,
    outdated,
)
from app.queue import engine
from app.queue.heartbeat import Workers
from app.version import VERSION

_UNFINISHED = ".contimg-unfinished-"
_LOCK = ".contimg-lock"
_OF_PIPELINE = ("products", "cal_registry", "hdf5", "ingest", "data_registry")
_OURS = ("api", "queue")


class Made(NamedTuple):
    """A backup that was made, and older ones that were removed for it."""

    directory: Path
    manifest: Manifest
    removed: tuple[str, ...]


class Restored(NamedTuple):
    """A database that was put back: poured into the file that was there, or in its place, and what became of that."""

    name: str
    target: Path
    poured: bool
    kept: Path | None


class BackupService:
    """Makes backups and puts them back.

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
            self.verify(parent / backups[-1])
            return _remove_outdated(parent, taken, keep)

    def verify(self, directory: Path) -> Manifest:
        """Read a backup's manifest, and look through every file that it names.

        Raises
        ------
        BackupRefused
            It is no backup, incomplete, or not what was backed up.
        DatabaseUnavailable
            A copy is damaged although its digest is right.
        """
        manifest = read_manifest(directory)
        for file in manifest.files:
            path = directory / file.file
            if not path.is_file():
                raise BackupRefused(f"The backup is incomplete: {file.file} is missing.")
            if path.stat().st_size != file.bytes or backup.digest(path) != file.sha256:
                raise BackupRefused(f"The backup is damaged: {file.file} is not what was backed up.")
            backup.check(path, file.name)
        return manifest

    def restore(self, directory: Path, *, pipeline: bool = False, online: bool = False) -> list[Restored]:
        """Put a backup back, after all of it was verified and every place was found free.

        Parameters
        ----------
        directory
            The backup.
        pipeline
            Whether the pipeline's databases in it are put back too.
        online
            Pour into files that other processes have open; each sees the old content or the new, nothing in between.

        Raises
        ------
        BackupRefused
            The backup is not whole, is of a newer version, or a place is in use. Nothing was changed.
        """
        manifest = self.verify(directory)
        targets = self._targets(manifest, pipeline)
        self._refuse_newer(manifest)
        pours = {name: self._may_pour(name, directory, online) for name in targets}
        restored = []
        for name, target in targets.items():
            copy = directory / _file_name(name)
            kept = None
            if pours[name]:
                backup.pour(copy, target, name, timeout_s=self._timeout_s)
            else:
                kept = backup.put(copy, target)
            restored.append(Restored(name, target, pours[name], kept))
        return restored

    def _sources(self, pipeline: bool) -> tuple[dict[str, Path], dict[str, str]]:
        """Files to copy by name, and what is left out with the reason."""
        places, left_out = self._places(), {}
        if self._engine.kind != "sqlite":
            left_out["queue"] = f"the queue is in {self._engine.kind}, which has backups of its own"
        sources: dict[str, Path] = {}
        for name in (*_OURS, *_OF_PIPELINE):
            if name in left_out:
                continue
            path = places[name]
            if name in _OF_PIPELINE and not pipeline:
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
            target = directory / _file_name(name)
            version = backup.copy(source, target, name, timeout_s=self._timeout_s)
            size, sha256 = target.stat().st_size, backup.digest(target)
            files.append(BackupFile(name, target.name, str(source), size, sha256, version))
        made_at, host = datetime.now(UTC).isoformat(timespec="seconds"), socket.gethostname()
        manifest = Manifest(FORMAT, made_at, host, VERSION, backup.SQLITE_VERSION, tuple(files), left_out)
        _write_manifest(directory / MANIFEST, manifest)
        backup.sync_directory(directory)
        return manifest

    def _targets(self, manifest: Manifest, pipeline: bool) -> dict[str, Path]:
        places = self._places()
        names = [file.name for file in manifest.files if pipeline or file.name in _OURS]
        if not names:
            raise BackupRefused("The backup holds nothing that was asked for; the pipeline's databases: --pipeline.")
        return {name: places[name] for name in names}

    def _places(self) -> dict[str, Path]:
        settings = self._settings
        ours = {
            "api": settings.api_state_dir / state.FILE_NAME,
            "queue": settings.api_state_dir / engine.FILE_NAME,
        }
        return ours | {name: getattr(settings, f"{name}_db") for name in _OF_PIPELINE}

    def _refuse_newer(self, manifest: Manifest) -> None:
        own = manifest.file("api")
        if own is not None and own.version > len(state.steps()):
            raise BackupRefused(f"The backup was made by a newer version of this service, {manifest.service_version}.")

    def _may_pour(self, name: str, directory: Path, online: bool) -> bool:
        """Whether to pour into the file there is, rather than to put the copy in its place; raises where neither."""
        target = self._places()[name]
        users = ", ".join(f"{holder.pid} ({holder.command})" for holder in backup.holders(target))
        if name == "queue" and self._workers():
            raise BackupRefused("Workers are at work on the queue; what they do would be done again. Stop them first.")
        if users and not online:
            raise BackupRefused(f"{name} is in use by {users}. Stop that, or restore under way: --online.")
        takes = target.is_file() and backup.takes(target, directory / _file_name(name))
        if users and not takes:
            raise BackupRefused(f"{name} is damaged or of another kind, and in use by {users}. Stop that first.")
        return takes

    def _workers(self) -> bool:
        if self._engine.kind != "sqlite" or not self._places()["queue"].is_file():
            return False
        try:
            return bool(Workers(self._engine).living())
        finally:
            self._engine.close()


def read_manifest(directory: Path) -> Manifest:
    """The manifest of a backup; raises BackupRefused where there is none that can be understood."""
    path = directory / MANIFEST
    try:
        told = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        inside = sorted(filter(is_backup_name, os.listdir(directory) if directory.is_dir() else []))
        hint = f" Backups in it: {', '.join(inside[-3:])}." if inside else ""
        raise BackupRefused(f"{directory} is no backup: it has no {MANIFEST}.{hint}") from error
    except (OSError, ValueError) as error:
        raise BackupRefused(f"The manifest cannot be read: {error}") from error
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise BackupRefused("The manifest is of no format that this version knows.")
    try:
        manifest = Manifest(**{**told, "files": tuple(BackupFile(**file) for file in told["files"])})
    except (TypeError, KeyError) as error:
        raise BackupRefused("The manifest is incomplete.") from error
    for file in manifest.files:
        if file.name not in (*_OURS, *_OF_PIPELINE) or file.file != _file_name(file.name):
            raise BackupRefused(f"The manifest names what is no database of this service: {file.file}")
    return manifest


def _remove_outdated(parent: Path, names: list[str], keep: int) -> tuple[str, ...]:
    removed = tuple(outdated(names, keep))
    for name in removed:
        shutil.rmtree(parent / name)
    return removed


def _file_name(name: str) -> str:
    return f"{name}.sqlite3"


def _write_manifest(path: Path, manifest: Manifest) -> None:
    told = {**manifest._asdict(), "files": [file._asdict() for file in manifest.files]}
    with path.open("w", encoding="utf-8") as file:
        json.dump(told, file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())


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
