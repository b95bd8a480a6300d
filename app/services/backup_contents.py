"""What a backup consists of: copies of databases by their names, and a manifest that proves them."""

from __future__ import annotations

import json
import os
from pathlib import Path

from app.config import Settings
from app.db import backup, state
from app.domain.backups import FORMAT, MANIFEST, BackupFile, BackupRefused, Manifest, is_backup_name
from app.queue import engine

OURS = ("api", "queue")
OF_PIPELINE = ("products", "cal_registry", "hdf5", "ingest", "data_registry")


def places(settings: Settings) -> dict[str, Path]:
    """Where the environment says each database lies, by its name."""
    ours = {"api": settings.api_state_dir / state.FILE_NAME, "queue": settings.api_state_dir / engine.FILE_NAME}
    return ours | {name: getattr(settings, f"{name}_db") for name in OF_PIPELINE}


def file_name(name: str) -> str:
    """File of a database within a backup."""
    return f"{name}.sqlite3"


def verify(directory: Path) -> Manifest:
    """Read a backup's manifest, and look through every file that it names.

    Raises
    ------
    BackupRefused
        It is no backup, incomplete, or not what was backed up, or it cannot be read.
    DatabaseUnavailable
        A copy is damaged although its digest is right.
    """
    manifest = read_manifest(directory)
    for file in manifest.files:
        path = directory / file.file
        if not path.is_file():
            raise BackupRefused(f"The backup is incomplete: {file.file} is missing.")
        try:
            same = path.stat().st_size == file.bytes and backup.digest(path) == file.sha256
        except OSError as error:
            raise BackupRefused(f"The backup cannot be read: {file.file}: {error.strerror}.") from error
        if not same:
            raise BackupRefused(f"The backup is damaged: {file.file} is not what was backed up.")
        backup.check(path, file.name)
    return manifest


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
        if file.name not in (*OURS, *OF_PIPELINE) or file.file != file_name(file.name):
            raise BackupRefused(f"The manifest names what is no database of this service: {file.file}")
    return manifest


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write a manifest, which is on the disk afterwards."""
    told = {**manifest._asdict(), "files": [file._asdict() for file in manifest.files]}
    with path.open("w", encoding="utf-8") as file:
        json.dump(told, file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
