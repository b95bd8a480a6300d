"""``contimg-api init``: an empty pair of databases."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from app.cli.output import print_environment, print_next
from app.db.empty import create_pair


@click.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
def init(directory: Path) -> None:
    """Make an empty products database and calibration registry in DIRECTORY.

    Files that are there already are never touched.
    """
    directory = directory.absolute()
    quoted = shlex.quote(str(directory))
    pair = create_pair(directory)
    for path in (pair.products, pair.registry):
        click.echo(f"# {path}: {'made' if path in pair.made else 'exists already, left as it is'}")
    print_environment(
        {
            "PIPELINE_PRODUCTS_DB": str(pair.products),
            "PIPELINE_CAL_REGISTRY_DB": str(pair.registry),
            "DSA110_DATA_ROOTS": str(directory),
            "DSA110_API_STATE_DIR": str(directory / "api"),
        }
    )
    click.echo("# DSA110_DATA_ROOTS: add the directories that hold your images, separated by colons")
    print_next(
        (
            f"contimg-api ingest --survey {quoted} images FOLDER          # FITS images",
            f"contimg-api ingest --survey {quoted} ms FOLDER              # measurement sets",
            f"contimg-api ingest --survey {quoted} photometry CATALOGUE   # CSV, VOTable or Parquet",
            f"contimg-api serve {quoted} --data FOLDER",
        )
    )
