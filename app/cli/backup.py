"""``contimg-api backup`` and ``contimg-api restore``: databases copied while they are in use, and put back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.config import Settings
from app.domain.backups import Manifest, Rotation

if TYPE_CHECKING:
    from app.services.restore import Restored

_DIRECTORY = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.argument("directory", type=_DIRECTORY)
@click.option("--pipeline", is_flag=True, help="The pipeline's databases too.")
@click.option("--keep", type=click.IntRange(min=1), help="Keep so many backups there and remove the oldest.")
@click.option("--prune", is_flag=True, help="Make none, only remove: where the disk has no room for another.")
def backup(directory: Path, pipeline: bool, keep: int | None, prune: bool) -> None:
    """Back up this service's own databases into a new directory below DIRECTORY.

    Nothing needs to be stopped. Every copy is checked before the backup gets its name, and only then older ones are
    removed. With --prune, nothing is removed unless the newest backup there is whole. A backup that is dated in the
    future, made while a clock was ahead, is neither counted nor removed.
    """
    from app.services.backup import BackupService

    service = BackupService(Settings.from_environment())
    if prune:
        if keep is None:
            raise click.UsageError("--prune wants to know how many backups to keep: --keep.")
        rotation = service.prune(directory, keep)
        _tell_rotation(rotation)
        _fail_over(rotation)
        return
    made = service.make(directory, pipeline=pipeline, keep=keep)
    _tell(made.manifest)
    _tell_rotation(made.rotation)
    click.echo(made.directory)
    _fail_over(made.rotation)


@click.command()
@click.argument("backup", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--pipeline", is_flag=True, help="The pipeline's databases too, if the backup holds them.")
@click.option("--online", is_flag=True, help="Also into databases that are in use, each in one transaction.")
@click.option("--check", is_flag=True, help="Only look whether the backup is whole; put nothing back.")
def restore(backup: Path, pipeline: bool, online: bool, check: bool) -> None:
    """Put BACKUP, a directory made by `backup`, back to where the environment says its databases lie.

    Nothing is changed unless the whole backup is sound and no database is in use, or --online is given; and not before
    every database is locked. Workers must be stopped in any case where the queue is put back.
    """
    from app.services.backup_contents import verify
    from app.services.restore import RestoreService

    settings = Settings.from_environment()
    if check:
        _tell(verify(backup))
        return
    RestoreService(settings).restore(backup, pipeline=pipeline, online=online, tell=_tell_restored)


def _tell_restored(done: Restored) -> None:
    click.echo(f"{done.name}: {'restored within' if done.poured else 'put at'} {done.target}")
    if done.kept is not None:
        click.echo(f"  what was there: {done.kept}")


def _tell_rotation(rotation: Rotation) -> None:
    for name in rotation.removed:
        click.echo(f"removed {name}")
    for name in rotation.in_future:
        click.echo(f"left alone, dated in the future: {name}", err=True)


def _fail_over(rotation: Rotation) -> None:
    """The disk will fill up: that is to be seen although there is a backup."""
    if rotation.failed:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in rotation.failed.items())
        raise click.ClickException(f"Old backups cannot be removed: {reasons}.")


def _tell(manifest: Manifest) -> None:
    for file in manifest.files:
        click.echo(f"{file.name}: {file.bytes} bytes, sha256 {file.sha256[:16]}…")
    for name, reason in manifest.left_out.items():
        click.echo(f"{name}: left out, {reason}")
