"""``contimg-api ingest``: what lies on disk becomes rows."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from app.cli.output import finish
from app.cli.survey import survey_option
from app.config import Settings
from app.db.writing import WritableDatabase
from app.domain.time import unix_from_iso

EXISTING = click.Path(exists=True, path_type=Path)


def pointing_of(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[float, float] | None:
    """Right ascension and declination in degrees, parsed and bounded."""
    if value is None:
        return None
    try:
        ra_deg, dec_deg = (float(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not RA,DEC in degrees, such as 180.0,37.2") from None
    if not (0.0 <= ra_deg < 360.0 and -90.0 <= dec_deg <= 90.0):
        raise click.BadParameter(f"{value!r}: RA lies within 0 and 360, DEC within -90 and 90")
    return ra_deg, dec_deg


def moment_of(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    """Unix seconds of an ISO 8601 date-time, UTC unless it says otherwise."""
    try:
        return None if value is None else unix_from_iso(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r}: {error}") from None


class RowCounter:
    """Shows how many rows of a stream are done, on a terminal only."""

    def __init__(self) -> None:
        self._rows = 0

    def __call__(self, rows: int) -> None:
        """Count some more."""
        self._rows += rows
        if sys.stderr.isatty():
            click.echo(f"\r{self._rows} rows", nl=False, err=True)


def database_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--products-db``, else the configured products database."""
    return click.option(
        "--products-db",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Products database; the configured one (PIPELINE_PRODUCTS_DB) where it is not given.",
    )(function)


def products_database(chosen: Path | None) -> WritableDatabase:
    """The products database, for writing."""
    settings = Settings.from_environment()
    return WritableDatabase(chosen or settings.products_db, "products", busy_timeout_s=settings.busy_timeout_s)


def registry_database(chosen: Path | None) -> WritableDatabase:
    """The calibration registry, for writing: a unified products file where there is none of its own."""
    settings = Settings.from_environment()
    present = settings.cal_registry_db if settings.cal_registry_db.exists() else settings.products_db
    return WritableDatabase(chosen or present, "cal_registry", busy_timeout_s=settings.busy_timeout_s)


@click.group()
@survey_option("Directory made by `init` or `demo` whose databases to fill, rather than the configured ones.")
def ingest() -> None:
    """Register images, measurement sets, calibration tables and photometry.

    Running a command again changes nothing. A file or row that cannot be used is named with its reason, the others go
    in, and the exit code is 1.
    """


@ingest.command()
@click.argument("paths", nargs=-1, required=True, type=EXISTING)
@click.option(
    "--ms-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where the measurement sets lie, if not beside the images.",
)
@database_option
def images(paths: Sequence[Path], ms_dir: Path | None, products_db: Path | None) -> None:
    """Measure and register FITS images: files, or folders searched for *.fits, *.fit, both with .gz, and *.fits.fz."""
    from app.services.ingest.images import find_images, ingest_images

    products = products_database(products_db)
    found = find_images(paths)
    # astropy warns of every oddity in a header; what matters to a row is in the report.
    with warnings.catch_warnings(), click.progressbar(length=len(found), label="Measuring images") as bar:
        warnings.simplefilter("ignore")
        report = ingest_images(products, found, ms_directory=ms_dir, advance=bar.update)
    finish(report)


@ingest.command()
@click.argument("paths", nargs=-1, required=True, type=EXISTING)
@click.option("--stage", help="Stage reached; new rows are 'ingested', and a stage is only ever raised.")
@click.option("--status", help="Status word.")
@click.option("--pointing", metavar="RA,DEC", callback=pointing_of, help="Pointing of all of them, RA,DEC in degrees.")
@click.option("--field", help="Field name of all of them.")
@click.option(
    "--processed-at",
    metavar="ISO",
    callback=moment_of,
    help="When they were processed; without it they list as pending.",
)
@click.option("--duration-s", type=click.FloatRange(min=0.0), help="Length of an observation in seconds [309.12].")
@database_option
def ms(paths: Sequence[Path], products_db: Path | None, duration_s: float | None, **options: Any) -> None:
    """Register measurement sets: *.ms directories, or folders searched for them.

    The start is taken from names like 2025-10-31T13:49:06.ms.
    """
    from app.services.ingest.measurement_sets import (
        DURATION_S,
        find_measurement_sets,
        ingest_measurement_sets,
        measurement_set_row,
    )

    ra_deg, dec_deg = options.pop("pointing") or (None, None)
    options |= {"field_name": options.pop("field"), "pointing_ra_deg": ra_deg, "pointing_dec_deg": dec_deg}
    facts = {name: value for name, value in options.items() if value is not None}
    length_s = DURATION_S if duration_s is None else duration_s
    rows = [measurement_set_row(path, facts, duration_s=length_s) for path in find_measurement_sets(paths)]
    with click.progressbar(length=len(rows), label="Registering measurement sets") as bar:
        report = ingest_measurement_sets(products_database(products_db), rows, now=time.time, advance=bar.update)
    finish(report)


@ingest.command()
@click.argument("catalogue", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@database_option
def photometry(catalogue: Path, products_db: Path | None) -> None:
    """Register the measurements of a CATALOGUE: CSV, TSV, VOTable (.vot, .xml) or Parquet."""
    from app.services.ingest.photometry import ingest_photometry

    finish(ingest_photometry(products_database(products_db), catalogue, advance=RowCounter()))


@ingest.command()
@click.argument("paths", nargs=-1, required=True, type=EXISTING)
@click.option("--type", "table_type", help="K, BA, BP, GA, GP, 2G, FLUX …; by the suffix where it is not given.")
@click.option("--set-name", help="Logical set; by the name where it is not given.")
@click.option("--ms", type=click.Path(path_type=Path), help="Measurement set it was solved on.")
@click.option("--cal-field", help="Calibrator field.")
@click.option("--refant", help="Reference antenna.")
@click.option("--status", type=click.Choice(["active", "retired", "failed"]), help="New rows are active.")
@click.option("--order", "order_index", type=int, help="Place in the order of application; by the type.")
@click.option(
    "--registry-db",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Registry; the configured one (PIPELINE_CAL_REGISTRY_DB) where it is not given.",
)
def caltables(paths: Sequence[Path], registry_db: Path | None, ms: Path | None, **options: Any) -> None:
    """Register calibration tables: *.kcal, *.bcal, *_gpcal … directories, or folders searched for them."""
    from app.services.ingest.caltables import find_caltables, ingest_caltables
    from app.services.ingest.report import absolute

    registry = registry_database(registry_db)
    facts = {name: value for name, value in options.items() if value is not None}
    if ms is not None:
        facts["source_ms_path"] = str(absolute(ms))
    found = find_caltables(paths)
    with click.progressbar(length=len(found), label="Registering calibration tables") as bar:
        report = ingest_caltables(registry, found, facts, advance=bar.update)
    finish(report)
