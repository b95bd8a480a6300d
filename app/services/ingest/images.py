"""Registering FITS images: measured from their pixels and headers, named by the conventions of the imagers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.db.writing import WritableDatabase
from app.domain.errors import ContimgError
from app.domain.time import unix_from_iso
from app.repositories.ingest import PipelineTables
from app.services.fits import RadioImage, open_image
from app.services.ingest.measure import measure
from app.services.ingest.report import FILES_PER_TRANSACTION, Advance, Report, absolute, batches, ignore, walk

SUFFIXES = (".fits", ".fit", ".fits.gz", ".fit.gz", ".fits.fz")

# The first rule whose words all occur in the name decides; words are what stands between dots, dashes and underscores.
TYPE_RULES: tuple[tuple[str, str], ...] = (
    ("psf", "psf"),
    ("residual", "residual"),
    ("residuals", "residual"),
    ("dirty", "dirty"),
    ("model", "model"),
    ("mask", "mask"),
    ("weight", "weight"),
    ("weights", "weight"),
    ("sumwt", "weight"),
    ("mosaic", "mosaic"),
    ("pbcor", "pbcor"),
    ("image pb", "pbcor"),
    ("pb", "pb"),
    ("clean", "clean"),
    ("continuum", "continuum"),
    ("cont", "continuum"),
)
# Their pixels are no brightness, so their scatter is no noise.
NOT_BRIGHTNESS = frozenset({"psf", "model", "mask", "weight", "pb"})

_MS_KEYWORDS = ("MSNAME", "MS_NAME", "MSPATH", "MS_PATH", "VISFILE", "ORIGIN")
_LAST_WORD = re.compile(r"(.+)[.\-_](\w+)")
_IMAGER_WORDS = {word for needed, _kind in TYPE_RULES for word in needed.split()} | {
    "image", "img", "restored", "mfs", "tt0", "i",
}  # fmt: skip
_START = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:?\d{2}:?\d{2}", re.ASCII)


@dataclass
class ImageRow:
    """One image to register: facts read from the file, and guesses made from names and file times."""

    facts: dict[str, Any]
    guesses: dict[str, Any]
    remarks: list[str] = field(default_factory=list)

    @property
    def path(self) -> str:
        """Absolute path, by which the image is known."""
        path: str = self.facts["path"]
        return path


def ingest_images(
    products: WritableDatabase, paths: Sequence[Path], *, ms_directory: Path | None = None, advance: Advance = ignore
) -> Report:
    """Register or update images, a transaction for every 200.

    Parameters
    ----------
    products
        The products database, of any generation.
    paths
        FITS files, as :func:`find_images` lists them.
    ms_directory
        Where measurement sets lie that the headers name without a directory.
    advance
        Told of every file that has been measured.

    Raises
    ------
    Busy, DatabaseUnavailable
        The database could not be written; the batches before stay written.
    """
    report = Report()
    for batch in batches(paths, FILES_PER_TRANSACTION):
        rows = []
        for path in batch:
            try:
                rows.append(image_row(path, ms_directory=ms_directory))
            except (ContimgError, OSError) as error:
                report.fail(path, error)
            advance(1)
        _write(products, rows, report)
    return report


def find_images(paths: Iterable[Path]) -> list[Path]:
    """FITS files at and below some paths, absolute, sorted, each once; a file named itself may be called anything."""
    return walk(paths, lambda path: path.name.lower().endswith(SUFFIXES), directories=False)


def image_row(path: Path, *, ms_directory: Path | None = None) -> ImageRow:
    """Measure one file.

    Raises
    ------
    FitsUnreadable
        The file is not FITS, is broken, or holds no value.
    """
    path = absolute(path)
    with open_image(path) as image:
        measurement, remarks = measure(image)
        named_ms = _ms_of_header(image, ms_directory or path.parent)
        made_at = _time_of(image, "DATE")
        observed_at = _time_of(image, "DATE-OBS")
        date_obs = image.text("DATE-OBS")
    kind = image_type(path.name)
    facts = {"path": str(path), "format": "fits", "ms_path": named_ms, "created_at": made_at, **measurement._asdict()}
    if kind in NOT_BRIGHTNESS:
        facts.update(noise_jy=None, dynamic_range=None)
        remarks = []
    guesses = {
        "type": kind,
        "pbcor": int(is_primary_beam_corrected(path.name)),
        "ms_path": _ms_of_name(path, ms_directory, date_obs),
        "created_at": observed_at if observed_at is not None else path.stat().st_mtime,
    }
    return ImageRow({name: value for name, value in facts.items() if value is not None}, guesses, remarks)


def image_type(name: str) -> str:
    """What kind of product a file is, by the words of its name: psf, residual, dirty, mosaic, pbcor … else image."""
    words = _words(name)
    return next((kind for needed, kind in TYPE_RULES if words.issuperset(needed.split())), "image")


def is_primary_beam_corrected(name: str) -> bool:
    """Whether a file's name says that the primary beam was divided out (CASA's ``pbcor``, WSClean's ``image-pb``)."""
    words = _words(name)
    return "pbcor" in words or words.issuperset({"image", "pb"})


def _words(name: str) -> set[str]:
    return set(re.split(r"[._\-\s]+", name.lower()))


def _write(products: WritableDatabase, rows: Sequence[ImageRow], report: Report) -> None:
    with products.transaction() as connection:
        tables = PipelineTables(connection)
        known = tables.known_images([row.path for row in rows])
        for row in rows:
            try:
                if row.path in known:
                    report.known(changed=tables.update_image(known[row.path], row.facts, row.guesses))
                else:
                    tables.insert("images", {**row.guesses, **row.facts})
                    report.registered += 1
            except ContimgError as error:
                report.fail(row.path, error)
                continue
            report.notes.extend(f"{row.path}: {remark}" for remark in row.remarks)


def _time_of(image: RadioImage, keyword: str) -> float | None:
    """Unix time [s] of a date card, read as UTC; ``None`` where it is absent or unreadable."""
    try:
        return unix_from_iso(image.text(keyword) or "")
    except ValueError:
        return None


def _ms_of_header(image: RadioImage, directory: Path) -> str | None:
    for keyword in _MS_KEYWORDS:
        value = (image.text(keyword) or "").rstrip("/")
        if value.endswith(".ms"):
            return str(absolute(directory / value))
    return None


def _ms_of_name(path: Path, ms_directory: Path | None, date_obs: str | None) -> str:
    """The measurement set a file was made from, as names suggest: one that exists, else one called by the time."""
    stems = _stems(path.name)
    folders = [folder for folder in (ms_directory, path.parent) if folder is not None]
    for folder in folders:
        for stem in stems:
            if (folder / f"{stem}.ms").is_dir():
                return str(absolute(folder / f"{stem}.ms"))
    start = _START.match(path.name) or _START.match(date_obs or "")
    return str(absolute(folders[0] / f"{start.group() if start else stems[-1]}.ms"))


def _stems(name: str) -> list[str]:
    """A file name with ever fewer imager's words at its end: ``a.image.pbcor`` gives itself, ``a.image`` and ``a``."""
    stems = [next((name[: -len(suffix)] for suffix in SUFFIXES if name.lower().endswith(suffix)), name)]
    while (match := _LAST_WORD.fullmatch(stems[-1])) and match.group(2).lower() in _IMAGER_WORDS:
        stems.append(match.group(1))
    return stems
