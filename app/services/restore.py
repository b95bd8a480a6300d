"""What was backed up put back: all databases that were asked for, or none as far as that can be known beforehand.

First everything that can stand in the way is looked for. Then every database that is poured into is locked, the
pipeline's large ones first, so that ours are locked for the shortest time. Only when all are locked is the first one
changed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from app.config import Settings
from app.db import backup, state
from app.domain.backups import BackupRefused, Manifest, RestoreIncomplete
from app.domain.errors import ContimgError
from app.queue import engine
from app.queue.heartbeat import Workers
from app.services.backup_contents import OURS, file_name, places, verify


class Restored(NamedTuple):
    """A database that was put back: poured into the file that was there, or in its place, and what became of that."""

    name: str
    target: Path
    poured: bool
    kept: Path | None


class _Step(NamedTuple):
    name: str
    copy: Path
    target: Path
    pours: bool


class RestoreService:
    """Puts backups back.

    Parameters
    ----------
    settings
        Where the databases lie, and how long to wait for locks.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._timeout_s = settings.busy_timeout_s
        self._engine = engine.Engine(settings.queue_url, settings.queue_name, settings.api_state_dir)

    def restore(
        self,
        directory: Path,
        *,
        pipeline: bool = False,
        online: bool = False,
        tell: Callable[[Restored], object] = lambda done: None,
    ) -> list[Restored]:
        """Put a backup back, after all of it was verified and every place was found free.

        Parameters
        ----------
        directory
            The backup.
        pipeline
            Whether the pipeline's databases in it are put back too.
        online
            Pour into files that other processes have open; each sees the old content or the new, nothing in between.
        tell
            Called with each database as soon as it is put back.

        Raises
        ------
        BackupRefused
            The backup is not whole, is of a newer version, or a place is in use. Nothing was changed.
        Busy, DatabaseUnavailable
            A database is locked or cannot be written to. Nothing was changed.
        RestoreIncomplete
            Some were put back, then one could not be.
        """
        manifest = verify(directory)
        targets = self._targets(manifest, pipeline)
        _refuse_newer(manifest)
        steps = [
            _Step(name, directory / file_name(name), target, self._may_pour(name, directory, online))
            for name, target in targets.items()
        ]
        done: list[Restored] = []

        def note(restored: Restored) -> None:
            done.append(restored)
            tell(restored)

        try:
            with _up_to_date(manifest, steps) as ready:
                self._put(ready, note)
        except ContimgError as error:
            if not done:
                raise
            raise _incomplete(error.message.rstrip("."), steps, done) from error
        except OSError as error:
            reason = f"A database cannot be written: {error.strerror}"
            if not done:
                raise BackupRefused(f"{reason}. Nothing was changed.") from error
            raise _incomplete(reason, steps, done) from error
        return done

    def _put(self, steps: Sequence[_Step], note: Callable[[Restored], None]) -> None:
        """Put files where nobody has one open, while all others are locked; then let those be seen."""

        def pour(left: Sequence[_Step]) -> None:
            if not left:
                for step in (step for step in steps if not step.pours):
                    note(Restored(step.name, step.target, False, backup.put(step.copy, step.target)))
                return
            *others, last = left
            backup.pour(last.copy, last.target, last.name, timeout_s=self._timeout_s, while_locked=lambda: pour(others))
            note(Restored(last.name, last.target, True, None))

        pour([step for step in steps if step.pours])

    def _targets(self, manifest: Manifest, pipeline: bool) -> dict[str, Path]:
        found = places(self._settings)
        names = [file.name for file in manifest.files if pipeline or file.name in OURS]
        if not names:
            raise BackupRefused("The backup holds nothing that was asked for; the pipeline's databases: --pipeline.")
        by_file: dict[str, str] = {}
        for name in names:
            other = by_file.setdefault(os.path.realpath(found[name]), name)
            if other != name:
                raise BackupRefused(f"{other} and {name} are two databases in the backup and one file here.")
        return {name: found[name] for name in names}

    def _may_pour(self, name: str, directory: Path, online: bool) -> bool:
        """Whether to pour into the file there is, rather than to put the copy in its place; raises where neither."""
        target = places(self._settings)[name]
        users = ", ".join(f"{holder.pid} ({holder.command})" for holder in backup.holders(target))
        if name == "queue" and self._workers():
            raise BackupRefused("Workers are at work on the queue; what they do would be done again. Stop them first.")
        if users and not online:
            raise BackupRefused(f"{name} is in use by {users}. Stop that, or restore under way: --online.")
        takes = target.is_file() and backup.takes(target, directory / file_name(name))
        if users and not takes:
            raise BackupRefused(f"{name} is damaged or of another kind, and in use by {users}. Stop that first.")
        return takes

    def _workers(self) -> bool:
        if self._engine.kind != "sqlite" or not places(self._settings)["queue"].is_file():
            return False
        try:
            return bool(Workers(self._engine).living())
        finally:
            self._engine.close()


def _refuse_newer(manifest: Manifest) -> None:
    own = manifest.file("api")
    if own is not None and own.version > len(state.steps()):
        raise BackupRefused(f"The backup was made by a newer version of this service, {manifest.service_version}.")


@contextmanager
def _up_to_date(manifest: Manifest, steps: Sequence[_Step]) -> Iterator[list[_Step]]:
    """The steps, with our own database brought up to date if an earlier version of this service made the backup.

    Whoever has it open would not look for that: no write may meet it without the tables that are to be there.
    """
    own = manifest.file("api")
    old = next((step for step in steps if step.name == "api"), None)
    if own is None or old is None or own.version == len(state.steps()):
        yield list(steps)
        return
    old.target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".contimg-restore-", dir=old.target.parent) as directory:
        copy = Path(directory, old.copy.name)
        shutil.copyfile(old.copy, copy)
        state.bring_up_to_date(copy)
        yield [step._replace(copy=copy) if step is old else step for step in steps]


def _incomplete(reason: str, steps: Sequence[_Step], done: Sequence[Restored]) -> RestoreIncomplete:
    names = [item.name for item in done]
    left = ", ".join(step.name for step in steps if step.name not in names)
    return RestoreIncomplete(f"{reason}. Put back already: {', '.join(names)}. Not put back: {left}.")
