"""Building the synthetic survey in a directory, through the same ingest that takes in real data."""

from __future__ import annotations

import fcntl
import json
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from app.db.empty import EmptyPair, create_pair
from app.db.writing import WritableDatabase
from app.domain.errors import ContimgError
from app.domain.run_id import run_id
from app.repositories.ingest import PipelineTables
from app.services.demo import records
from app.services.demo.photometry import write_catalogue
from app.services.demo.sky import Painting, paint
from app.services.demo.survey import (
    CELL_ARCSEC,
    FIELDS,
    IMAGE_SIZE,
    REFERENCE_S,
    Field,
    Observation,
    Source,
    observations,
    steady,
)
from app.services.ingest.caltables import find_caltables, ingest_caltables
from app.services.ingest.images import find_images, image_row, ingest_images
from app.services.ingest.measurement_sets import find_measurement_sets, ingest_measurement_sets
from app.services.ingest.photometry import ingest_photometry
from app.services.ingest.report import Report

# Raised whenever the survey changes, so that an older one is rebuilt.
VERSION = 1

MARKER = "demo.json"
STARTED = ".demo-started"
LOCK = ".demo-lock"
FOLDERS = ("state", "images", "ms", "caltables", "logs", "api")
CATALOGUE = "photometry.csv"


class DemoRefused(ContimgError):
    """The directory holds something that this did not make."""


class Demo(NamedTuple):
    """Where the survey lies, and what was counted when it was built."""

    directory: Path
    counts: dict[str, int]
    built: bool

    @property
    def environment(self) -> dict[str, str]:
        """Settings under which the service serves it."""
        return {
            "DSA110_STATE_DIR": str(self.directory / "state"),
            "PIPELINE_PRODUCTS_DB": str(self.directory / "state" / "products.sqlite3"),
            "PIPELINE_CAL_REGISTRY_DB": str(self.directory / "state" / "cal_registry.sqlite3"),
            "DSA110_DATA_ROOTS": str(self.directory),
            "DSA110_LOG_DIRS": str(self.directory / "logs"),
            "DSA110_API_STATE_DIR": str(self.directory / "api"),
        }


def build_demo(directory: Path, *, if_missing: bool = False, say: Callable[[str], object] = lambda text: None) -> Demo:
    """Build the survey, or with ``if_missing`` leave a complete one as it is.

    A build that was interrupted left no marker, so it starts again from nothing. Two builds of one directory wait for
    each other.

    Raises
    ------
    DemoRefused
        The directory holds files of one of the demo's names that no demo made, or it cannot be written to.
    """
    directory = directory.absolute()
    with _refusing(directory), _alone(directory):
        complete = _read_marker(directory)
        if if_missing and complete is not None:
            return Demo(directory, complete, built=False)
        _clear(directory)
        (directory / STARTED).touch()
        counts = _build(directory, say)
        (directory / MARKER).write_text(json.dumps({"version": VERSION, "counts": counts}) + "\n")
        (directory / STARTED).unlink()
    return Demo(directory, counts, built=True)


def paintings(observed: Sequence[Observation]) -> list[Painting]:
    """Every image of the survey: one an observation, of two, three or four axes, then one of each other kind."""
    images = [
        Painting(name=f"{observation.name}.img-image.fits", observation=observation, axes=2 + number // 3 % 3)
        for number, observation in enumerate(observed)
    ]
    first, second, third = (_of_epoch(observed, field, 0) for field in range(3))
    everything = frozenset({"sources", "noise"})
    return [
        *images,
        Painting(name=f"{first.name}.img-image-pb.fits", observation=first, layers=everything | {"pbcor"}, axes=4),
        Painting(name=f"{second.name}.img-image-pb.fits", observation=second, layers=everything | {"pbcor"}, axes=4),
        Painting(name=f"{first.name}.img-residual.fits", observation=first, layers=frozenset({"noise"}),
                 unit="mJy/beam"),
        Painting(name=f"{third.name}.img-dirty.fits", observation=third, layers=everything | {"sidelobes"}, axes=4,
                 beam_in_history=True),
        Painting(name=f"{third.name}.img-psf.fits", observation=third, layers=frozenset({"psf"}), axes=4),
        Painting(name="mosaic_2025-10-31_RA180+37.fits", observation=first, layers=everything | {"blank"},
                 shape=(320, 512), quiet=0.35, extra=_background(first.field)),
    ]  # fmt: skip


def _build(directory: Path, say: Callable[[str], object]) -> dict[str, int]:
    for folder in FOLDERS:
        (directory / folder).mkdir()
    observed = observations()
    planned = paintings(observed)
    say(f"Painting {len(planned)} images")
    for painting in planned:
        paint(painting, directory / "images")
    _make_tables(directory, observed)
    say("Measuring the sources")
    write_catalogue(planned[: len(observed)], directory / "images", directory / CATALOGUE)
    say("Registering everything")
    return _register(directory, observed, create_pair(directory / "state"))


def _register(directory: Path, observed: Sequence[Observation], pair: EmptyPair) -> dict[str, int]:
    products = WritableDatabase(pair.products, "products")
    registry = WritableDatabase(pair.registry, "cal_registry")
    sets = records.measurement_sets(observed, directory / "ms")
    reports = {
        "measurement_sets": ingest_measurement_sets(products, sets, now=lambda: REFERENCE_S),
        "images": ingest_images(products, find_images([directory / "images"]), ms_directory=directory / "ms"),
        "photometry": ingest_photometry(products, directory / CATALOGUE),
        "caltables": _register_caltables(registry, directory, observed),
    }
    _note(products, directory, observed)
    _write_logs(directory, [row.path for row in sets])
    for report in reports.values():
        if report.failures:
            raise ContimgError(f"The demo could not be registered: {report.failures[0]}")
    assert len(find_measurement_sets([directory / "ms"])) == len(sets)
    return {name: report.registered for name, report in reports.items()}


def _register_caltables(registry: WritableDatabase, directory: Path, observed: Sequence[Observation]) -> Report:
    whole = Report()
    for name, facts in records.caltable_sets(observed, directory / "ms"):
        tables = find_caltables([directory / "caltables" / f"{name}.{suffix}" for suffix in records.CAL_KINDS])
        report = ingest_caltables(registry, tables, {key: value for key, value in facts.items() if value is not None})
        whole.registered += report.registered
        whole.failures += report.failures
    return whole


def _note(products: WritableDatabase, directory: Path, observed: Sequence[Observation]) -> None:
    """The rows that only the pipeline writes, and an image in CASA's own format, which ingest does not read."""
    images = directory / "images"
    measured = [image_row(images / f"{each.name}.img-image.fits", ms_directory=directory / "ms") for each in observed]
    first = observed[0]
    casa = {
        "path": str(images / f"{first.name}.img.image"), "ms_path": str(directory / "ms" / first.ms_name),
        "created_at": first.start_s, "type": "image", "format": "casa", "field_name": first.field.name,
    }  # fmt: skip
    with products.transaction() as connection:
        tables = PipelineTables(connection)
        tables.insert("images", casa)
        tables.insert_all("jobs", records.jobs(observed, directory / "ms"))
        tables.insert_all("batch_jobs", records.batch_jobs())
        tables.insert_all("image_qa", records.image_qa(row.facts for row in measured))
        tables.insert_all("calibration_qa", records.calibration_qa(observed, directory / "ms"))


def _make_tables(directory: Path, observed: Sequence[Observation]) -> None:
    """Directories that look like CASA's: measurement sets, calibration tables, one image."""
    kinds = {directory / "ms" / each.ms_name: "Measurement Set" for each in observed}
    kinds |= {directory / "ms" / name: "Measurement Set" for name, _facts in records.ODD_SETS}
    for name, _facts in records.caltable_sets(observed, directory / "ms"):
        kinds |= {directory / "caltables" / f"{name}.{suffix}": "Calibration" for suffix in records.CAL_KINDS}
    kinds[directory / "images" / f"{observed[0].name}.img.image"] = "Image"
    for path, kind in kinds.items():
        path.mkdir()
        (path / "table.info").write_text(f"Type = {kind}\nSubType = \n\n")


def _write_logs(directory: Path, ms_paths: Sequence[str]) -> None:
    for number, ms_path in enumerate(ms_paths):
        (directory / "logs" / f"{run_id(ms_path)}.log").write_bytes(records.log_of(ms_path, number))


def _background(field: Field) -> tuple[Source, ...]:
    """Faint sources that only a mosaic is deep and wide enough to show."""
    chance = random.Random(f"background {field.name}")
    reach_deg = IMAGE_SIZE * CELL_ARCSEC / 3600.0
    return tuple(
        Source(
            f"background {number}",
            field.ra_deg + chance.uniform(-1.2, 1.2) * reach_deg,
            field.dec_deg + chance.uniform(-0.6, 0.6) * reach_deg,
            steady(0.001 + 0.004 * chance.random() ** 2),
        )
        for number in range(60)
    )


def _of_epoch(observed: Sequence[Observation], field: int, epoch: int) -> Observation:
    return next(each for each in observed if each.field is FIELDS[field] and each.epoch == epoch)


@contextmanager
def _refusing(directory: Path) -> Iterator[None]:
    """Say in one sentence what the file system has against it."""
    try:
        yield
    except OSError as error:
        raise DemoRefused(f"The demo cannot be built in {directory}: {error.strerror or error}.") from error


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _read_marker(directory: Path) -> dict[str, int] | None:
    """Counts of a complete survey of this version, ``None`` where there is none."""
    try:
        marker: dict[str, Any] = json.loads((directory / MARKER).read_text())
        return dict(marker["counts"]) if marker["version"] == VERSION else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _clear(directory: Path) -> None:
    """Remove what an earlier build made; nothing that another hand has made."""
    ours = (directory / MARKER).exists() or (directory / STARTED).exists()
    present = [name for name in (*FOLDERS, CATALOGUE, MARKER) if (directory / name).exists()]
    if present and not ours:
        raise DemoRefused(f"The directory holds {', '.join(present)}, which no demo made; choose an empty one")
    (directory / STARTED).touch()
    for name in (MARKER, *FOLDERS, CATALOGUE):
        path = directory / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
