"""``contimg-api demo``: a small synthetic survey to try the service on."""

from __future__ import annotations

from pathlib import Path

import click

from app.cli.output import print_environment, print_next


@click.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--if-missing", is_flag=True, help="Do nothing where a complete demo is there.")
def demo(directory: Path, if_missing: bool) -> None:
    """Build a synthetic survey in DIRECTORY: images, measurement sets, photometry, jobs and logs.

    The same directory always gets the same bytes. A demo that is there is built anew.
    """
    from app.services.demo.build import build_demo

    made = build_demo(directory, if_missing=if_missing, say=lambda text: click.echo(f"# {text}", err=True))
    counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in made.counts.items())
    click.echo(f"# {made.directory}: {'built' if made.built else 'complete already'} ({counts})")
    print_environment(made.environment)
    print_next((f"contimg-api serve {directory}",))
