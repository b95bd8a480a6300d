"""The service's own database, as commands open it.

Where it lies is told by the service's environment, which whoever types a command may have forgotten. So every command
says which file it means, and one that only reads makes none: an empty one elsewhere would look like an answer.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from app.config import Settings

if TYPE_CHECKING:
    from app.db.state import StateDatabase

_REMEDY = (
    "Set DSA110_API_STATE_DIR, or DSA110_STATE_DIR, as it is set for the service, or name what `contimg-api serve` was "
    "given: contimg-api --survey DIRECTORY. The file is made by the service when it first needs it, or by "
    "`contimg-api keys create`."
)


class Own(NamedTuple):
    """The database with the settings that name it; ``is_new`` where there was no file before."""

    database: StateDatabase
    settings: Settings
    is_new: bool

    @property
    def path(self) -> Path:
        """The file."""
        return self.database.path


@contextmanager
def own_database(*, make: bool = False) -> Iterator[Own]:
    """Open it.

    Parameters
    ----------
    make
        Whether the command may make it; the command then says itself which file that is.

    Raises
    ------
    click.ClickException
        There is none, and the command makes none.
    """
    from app.db.state import StateDatabase

    settings = Settings.from_environment()
    database = StateDatabase(settings.api_state_dir, busy_timeout_s=settings.busy_timeout_s)
    is_there = os.path.isfile(database.path)
    if not make and not is_there:
        raise click.ClickException(f"There is no {database.path} that could be read. {_REMEDY}")
    if not make:
        click.echo(f"From {database.path}:", err=True)
    try:
        yield Own(database, settings, not is_there)
    finally:
        database.close()
