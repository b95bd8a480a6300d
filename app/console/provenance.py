"""The chain that leads from what was measured back to the log of the run: every link of it a link."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from app.console import links
from app.domain.errors import NotFound
from app.domain.images import ImageDetail
from app.domain.measurement_sets import CalibratorMatch, MeasurementSetDetail
from app.web.context import services

T = TypeVar("T")


class Part(NamedTuple):
    """Something in a link of the chain: what it is called, its page, and the whole name where that is long."""

    text: str
    url: str = ""
    title: str = ""


class Link(NamedTuple):
    """A link of the chain: what kind of thing it is, and the things."""

    kind: str
    parts: Sequence[Part]


def chain_of(image: ImageDetail, n_sources: int, observed_mjd: float | None) -> list[Link]:
    """The chain through an image: sources, image, measurement set, calibration tables, run, log."""
    ms = _found(lambda: services().ms.get(image.ms_path))
    run_id = image.run_id or ""
    run = _found(lambda: services().jobs.get(run_id))
    return [
        Link("Sources", [Part(f"{n_sources} measured in it", "#sources")]),
        Link("Image", [Part(f"#{image.id} {name_of(image.path)}", links.image(image.id), image.path)]),
        Link("Measurement set", [_measurement_set(image.ms_path, ms)]),
        Link("Calibration tables", tables_of(ms.calibrator_matches if ms else [], observed_mjd)),
        Link("Run", [Part(run_id, links.job(run_id)) if run else Part(f"{run_id or 'none'} (not on record)")]),
        Link("Log", [Part("log of the run", links.log(run_id)) if run else Part("none")]),
    ]


def _measurement_set(path: str, ms: MeasurementSetDetail | None) -> Part:
    if ms is None:
        return Part(f"{name_of(path)} (not indexed)", "", path)
    return Part(f"{name_of(path)}, {ms.stage or 'no stage'}", links.measurement_set(ms.path), path)


def tables_of(solved: Sequence[CalibratorMatch], observed_mjd: float | None = None) -> list[Part]:
    """Calibration tables solved from a measurement set, and where those are that were valid when it was observed."""
    found = [Part(f"{kind or '?'}: {name_of(path)}", links.calibration_table(path), path) for path, kind in solved]
    if observed_mjd is not None:
        mjd = f"{observed_mjd:.6f}"
        valid = links.console("cal", [("max_valid_start_mjd", mjd), ("min_valid_end_mjd", mjd)])
        found.append(Part("valid when it was observed", valid))
    return found or [Part("none solved from it")]


def _found(get: Callable[[], T]) -> T | None:
    """What there is, or that it is not on record."""
    try:
        return get()
    except NotFound:
        return None


def name_of(path: str) -> str:
    """The last part of a path."""
    return path.rstrip("/").rpartition("/")[2]
