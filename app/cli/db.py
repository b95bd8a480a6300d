"""``contimg-api db``: our indexes and summaries in the pipeline's files, added, removed and looked at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from app.config import Settings
from app.db.upgrade import PipelineUpgrade


def upgrade_all(settings: Settings, chosen: str | None = None) -> None:
    """Upgrade the configured databases, or the chosen one, and say what was done."""
    for database in databases(settings, chosen):
        ran = database.upgrade()
        click.echo(f"{_title(database)}: {_done(ran)}")


def databases(settings: Settings, chosen: str | None = None) -> list[PipelineUpgrade]:
    """The configured files, each once; a registry that is not there is left out unless it was asked for."""
    paths: dict[str, Path] = {"products": settings.products_db, "registry": settings.cal_registry_db}
    if chosen is not None:
        paths = {chosen: paths[chosen]}
    elif not paths["registry"].is_file() or paths["registry"].resolve() == paths["products"].resolve():
        del paths["registry"]
    return [PipelineUpgrade(path, name, busy_timeout_s=settings.busy_timeout_s) for name, path in paths.items()]


def database_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--db``, else every database there is."""
    return click.option(
        "--db",
        "chosen",
        type=click.Choice(["products", "registry"]),
        help="The products database or the calibration registry alone; both where it is not given.",
    )(function)


@click.group()
def db() -> None:
    """Add indexes and summaries to the pipeline's databases, which make lists, sources and statistics quick.

    Only objects named contimg_api_* are added, and every one is removed again by `downgrade`. The pipeline may go on
    writing meanwhile.
    """


@db.command()
@database_option
def upgrade(chosen: str | None) -> None:
    """Add what is missing; harmless to repeat, and to run twice at once.

    To be run again when `status` says so: after this service or the pipeline was updated.
    """
    upgrade_all(Settings.from_environment(), chosen)


@db.command()
@database_option
def downgrade(chosen: str | None) -> None:
    """Remove everything that `upgrade` added; the service goes on, more slowly."""
    for database in databases(Settings.from_environment(), chosen):
        click.echo(f"{_title(database)}: {'removed' if database.downgrade() else 'there was nothing to remove'}")


@db.command()
@database_option
@click.option("--check", is_flag=True, help="Exit code 1 where an upgrade has something to do.")
def status(chosen: str | None, check: bool) -> None:
    """Tell how far the databases have been upgraded; nothing is written."""
    current = True
    for database in databases(Settings.from_environment(), chosen):
        found = database.status()
        current = current and found.current
        click.echo(f"{_title(database)}: revision {found.revision or 'none'} of {found.head}")
        for part in found.parts:
            state = "overtaken by changes to its tables" if part.fallen else f"{part.objects} objects"
            click.echo(f"  {part.revision} {part.name}: {state}")
        click.echo("  up to date" if found.current else "  to do: contimg-api db upgrade")
    if check and not current:
        raise click.exceptions.Exit(1)


def _title(database: PipelineUpgrade) -> str:
    return f"{database.name} {database.path}"


def _done(ran: list[str]) -> str:
    return f"ran {', '.join(ran)}" if ran else "up to date already"
