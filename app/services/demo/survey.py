"""The plan of the synthetic survey: fields, observations, sources and what they do in time."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from app.domain.time import iso_from_unix, mjd_from_unix, unix_from_iso

SIDEREAL_DAY_S = 86164.0905
REFERENCE_S = unix_from_iso("2025-10-31T13:49:06")
EPOCHS = range(-6, 4)
OBSERVATION_S = 309.12

CELL_ARCSEC = 4.0
IMAGE_SIZE = 256
FREQ_HZ = 1.405e9
BANDWIDTH_HZ = 187.5e6

SOURCES_PER_FIELD = 20
FAINTEST_JY, BRIGHTEST_JY, COUNTS_SLOPE = 0.003, 0.15, 0.8
CLOSEST_ARCSEC = 60.0

Flux = Callable[[int], float]


class Field(NamedTuple):
    """A pointing centre [deg], with the frame its images are written in."""

    name: str
    ra_deg: float
    dec_deg: float
    frame: str = "ICRS"


class Source(NamedTuple):
    """A point source; ``flux_jy`` gives its flux density [Jy] in an epoch."""

    source_id: str
    ra_deg: float
    dec_deg: float
    flux_jy: Flux


class Observation(NamedTuple):
    """A field's transit in one epoch; ``start_s`` in Unix seconds."""

    field: Field
    epoch: int
    start_s: float

    @property
    def name(self) -> str:
        """Start time as the pipeline writes it into names, ``YYYY-MM-DDTHH:MM:SS``."""
        return (iso_from_unix(self.start_s) or "").removesuffix("Z")

    @property
    def ms_name(self) -> str:
        """Name of the measurement set."""
        return f"{self.name}.ms"

    @property
    def mid_mjd(self) -> float:
        """Middle of the observation [MJD]."""
        return mjd_from_unix(self.start_s + OBSERVATION_S / 2)


# One field lies across right ascension 0, one keeps to the older FK5 frame.
FIELDS = (
    Field("RA180+37", 180.0, 37.2),
    Field("RA000+16", 0.0, 16.1),
    Field("3C286", 202.7845, 30.5092, "FK5"),
)

# A name as a hand-made catalogue may hold it: it needs escaping in every URL.
AWKWARD_ID = "NVSS 0000+16 core β 5%"


def observations() -> list[Observation]:
    """Every transit, one a sidereal day for each field, in order of time."""
    transits = [Observation(field, epoch, _transit_s(field, epoch)) for field in FIELDS for epoch in EPOCHS]
    return sorted(transits, key=lambda observation: observation.start_s)


@cache
def sources_of(field: Field) -> tuple[Source, ...]:
    """The sources of a field, brightest first; some are planted to vary."""
    fluxes = sorted((_flux_of_rank(rank) for rank in range(SOURCES_PER_FIELD)), reverse=True)
    positions = _positions(field, SOURCES_PER_FIELD)
    behaviours = _behaviours(field)
    sources = []
    for rank, ((ra_deg, dec_deg), mean_jy) in enumerate(zip(positions, fluxes, strict=True)):
        source_id = AWKWARD_ID if field.ra_deg == 0.0 and rank == 1 else iau_name(ra_deg, dec_deg)
        sources.append(Source(source_id, ra_deg, dec_deg, behaviours.get(rank, steady)(mean_jy)))
    return tuple(sources)


def iau_name(ra_deg: float, dec_deg: float) -> str:
    """Name by position, ``JHHMMSS.s+DDMMSS``, cut and not rounded as the IAU asks."""
    tenths = math.floor(ra_deg / 15.0 * 36000.0)
    hours, minutes, seconds = tenths // 36000, tenths // 600 % 60, tenths % 600
    arcsec = math.floor(abs(dec_deg) * 3600.0)
    sign = "-" if dec_deg < 0 else "+"
    return (
        f"J{hours:02d}{minutes:02d}{seconds // 10:02d}.{seconds % 10}"
        f"{sign}{arcsec // 3600:02d}{arcsec // 60 % 60:02d}{arcsec % 60:02d}"
    )


def _transit_s(field: Field, epoch: int) -> float:
    east_deg = (field.ra_deg - FIELDS[0].ra_deg) % 360.0
    return float(round(REFERENCE_S + (epoch + east_deg / 360.0) * SIDEREAL_DAY_S))


def _flux_of_rank(rank: int) -> float:
    """Flux densities spread as N(>S) ∝ S^-0.8, the counts of radio sources at this brightness."""
    low, high = FAINTEST_JY**-COUNTS_SLOPE, BRIGHTEST_JY**-COUNTS_SLOPE
    quantile = (rank + 0.5) / SOURCES_PER_FIELD
    return float((high + quantile * (low - high)) ** (-1.0 / COUNTS_SLOPE))


def _positions(field: Field, count: int) -> list[tuple[float, float]]:
    """Positions well inside the image, none closer to another than a minute of arc."""
    chance = random.Random(f"positions {field.name}")
    reach_arcsec = 0.44 * IMAGE_SIZE * CELL_ARCSEC
    offsets: list[tuple[float, float]] = []
    while len(offsets) < count:
        east, north = (chance.uniform(-reach_arcsec, reach_arcsec) for _ in range(2))
        if all(math.hypot(east - other[0], north - other[1]) > CLOSEST_ARCSEC for other in offsets):
            offsets.append((east, north))
    return [
        (
            round((field.ra_deg + east / 3600.0 / math.cos(math.radians(field.dec_deg))) % 360.0, 6),
            round(field.dec_deg + north / 3600.0, 6),
        )
        for east, north in offsets
    ]


def steady(mean_jy: float) -> Flux:
    """The same brightness in every epoch."""
    return lambda epoch: mean_jy


def _variable(mean_jy: float) -> Flux:
    """A slow swing of 45 per cent."""
    return lambda epoch: mean_jy * (1.0 + 0.45 * math.sin(2.0 * math.pi * epoch / 7.3))


def _scattering_event(mean_jy: float) -> Flux:
    """An extreme scattering event: a dip between two brighter shoulders."""
    shape = {-3: 1.25, -2: 0.55, -1: 0.45, 0: 0.6, 1: 1.2}
    return lambda epoch: mean_jy * shape.get(epoch, 1.0)


def _transient(_mean_jy: float) -> Flux:
    """Nothing, then an outburst that fades by a third a day."""
    return lambda epoch: 0.0 if epoch < -1 else 0.06 * 0.67 ** (epoch + 1)


def _behaviours(field: Field) -> dict[int, Callable[[float], Flux]]:
    """What is planted in a field, by a source's rank in brightness."""
    planted: dict[str, dict[int, Callable[[float], Flux]]] = {
        "RA180+37": {3: _variable, 12: _transient},
        "RA000+16": {4: _scattering_event},
    }
    return planted.get(field.name, {})
