"""What commands print alike."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping

import click

from app.services.ingest.report import Report


def print_environment(variables: Mapping[str, str]) -> None:
    """Lines for a shell to take in, one variable each."""
    for name, value in variables.items():
        click.echo(f"export {name}={shlex.quote(value)}")


def print_next(commands: Iterable[str]) -> None:
    """What a person will want to type next."""
    click.echo("\nNext:")
    for command in commands:
        click.echo(f"  {command}")


def finish(report: Report) -> None:
    """Print an ingest's report: failures and notes to standard error, the summary last; exit code 1 on any failure."""
    for note in report.notes:
        click.echo(f"note: {note}", err=True)
    for failure in report.failures:
        click.echo(f"failed: {failure.name}: {failure.reason}", err=True)
    click.echo(report.summary)
    if report.failures:
        raise click.exceptions.Exit(1)
