"""Backups: what one holds, how its directory is called, and which are old enough to go."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import NamedTuple

from app.domain.errors import ContimgError

FORMAT = 1
MANIFEST = "manifest.json"
_NAME = re.compile(r"contimg-\d{8}T\d{6}Z(-\d+)?")


class BackupRefused(ContimgError):
    """A backup cannot be made, or must not be restored: it is incomplete or damaged, or its place is in use."""

    code = "BACKUP_REFUSED"


class RestoreIncomplete(ContimgError):
    """Some databases of a backup were put back, then one could not be."""

    code = "RESTORE_INCOMPLETE"


class BackupFile(NamedTuple):
    """One database in a backup.

    ``name`` is the logical one (``api``, ``queue``, ``products`` …), ``origin`` where it was taken from, ``version``
    its ``PRAGMA user_version``.
    """

    name: str
    file: str
    origin: str
    bytes: int
    sha256: str
    version: int


class Rotation(NamedTuple):
    """What became of older backups: removed, left because they are dated in the future, or not removable and why."""

    removed: tuple[str, ...] = ()
    in_future: tuple[str, ...] = ()
    failed: Mapping[str, str] = MappingProxyType({})


class Manifest(NamedTuple):
    """What a backup tells of itself; ``left_out`` says what is not in it, and why."""

    format: int
    made_at: str
    host: str
    service_version: str
    sqlite_version: str
    files: tuple[BackupFile, ...]
    left_out: dict[str, str]

    def file(self, name: str) -> BackupFile | None:
        """The database of that logical name."""
        return next((file for file in self.files if file.name == name), None)


def directory_name(at: float, taken: Iterable[str]) -> str:
    """Name of a backup made at a time [Unix s]: sorts by time, and behind those ``taken`` in the same second."""
    stem = _stem(at)
    ages = [_age(name) for name in taken if is_backup_name(name) and name.startswith(stem)]
    return f"{stem}-{max(ages)[1] + 1}" if ages else stem


def is_backup_name(name: str) -> bool:
    """Whether a directory's name is one that :func:`directory_name` gives."""
    return _NAME.fullmatch(name) is not None


def outdated(names: Iterable[str], keep: int) -> list[str]:
    """Backups to remove so that the newest ``keep`` stay, oldest first; names of anything else are passed over."""
    ours = sorted(filter(is_backup_name, names), key=_age)
    return ours[: max(0, len(ours) - keep)]


def dated_after(names: Iterable[str], at: float) -> list[str]:
    """Backups dated after a time [Unix s], oldest first: made while a clock was ahead, if that time is now."""
    return sorted((name for name in names if is_backup_name(name) and _age(name)[0] > _age(_stem(at))[0]), key=_age)


def _stem(at: float) -> str:
    return f"contimg-{datetime.fromtimestamp(at, UTC):%Y%m%dT%H%M%SZ}"


def _age(name: str) -> tuple[str, int]:
    stamp, _, number = name.removeprefix("contimg-").partition("-")
    return stamp, int(number or 1)
