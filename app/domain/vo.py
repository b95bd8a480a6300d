"""The Virtual Observatory: what may be asked of it here, and the columns of ObsCore.

References
----------
Observation Data Model Core Components 1.1 (IVOA, 2017); Simple Image Access 2.0 (2015); DataLink 1.1 (2023); SODA 1.0
(2017); Simple Cone Search 1.03 (2008, with errata); DALI 1.1 (2017).
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from app.domain.columns import Column, Kind
from app.domain.regions import Circle, Footprint, Region

FACILITY = "DSA-110"
COLLECTION = "DSA-110 continuum"
# Of dataset identifiers; no registry knows it.
PUBLISHER = "ivo://dsa110/contimg"
VOTABLE = "application/x-votable+xml"
DATALINK = f"{VOTABLE};content=datalink"
FITS = "application/fits"

SPEED_OF_LIGHT_M_GHZ = 0.299792458

# Parameters of Simple Image Access whose values are intervals, and those whose values are words.
INTERVALS = ("BAND", "TIME", "FOV", "SPATRES", "SPECRP", "EXPTIME", "TIMERES")
WORDS = ("POL", "COLLECTION", "FACILITY", "INSTRUMENT", "DPTYPE", "CALIB", "TARGET", "FORMAT")

_DATASET = re.compile(re.escape(PUBLISHER) + r"\?images?/(\d{1,18})", re.ASCII | re.IGNORECASE)


class Form(NamedTuple):
    """What a table is wanted as: the name of a format of tables, and the media type to call it by."""

    name: str = "votable"
    content_type: str = VOTABLE


class ConeRequest(NamedTuple):
    """A cone search. ``most`` bounds its rows; 0, like a radius of 0, asks for the description of the table alone."""

    cone: Circle
    verbosity: int
    most: int | None
    form: Form


class Interval(NamedTuple):
    """From one number to another, both included; infinity is no bound."""

    low: float
    high: float

    def meets(self, low: float | None, high: float | None) -> bool:
        """Whether it has something in common with another interval; not if that is not known."""
        return low is not None and high is not None and self.low <= high and low <= self.high


class ImageRequest(NamedTuple):
    """Which images are asked for.

    Parameters
    ----------
    regions
        Any of which an image must show some of; empty for the whole sky.
    intervals
        By name of the parameter, any of which must be met.
    words
        By name of the parameter, any of which must be the image's own.
    ids
        Keys of images, ``None`` for all of them.
    most
        Rows at most.
    form
        What the table is wanted as.
    """

    regions: tuple[Region, ...]
    intervals: dict[str, tuple[Interval, ...]]
    words: dict[str, tuple[str, ...]]
    ids: tuple[int, ...] | None
    most: int | None
    form: Form


class LinksRequest(NamedTuple):
    """Which datasets links are asked for, by the identifiers that the client gave."""

    identifiers: tuple[str, ...]
    most: int | None
    form: Form


class CutRequest(NamedTuple):
    """A dataset, and the region to cut out of it; ``None`` for all of it."""

    identifier: str
    region: Region | None


class Observation(NamedTuple):
    """An image with its observation, as the databases know it; times in MJD."""

    id: int
    path: str
    ms_path: str | None
    type: str | None
    run_id: str | None
    field_name: str | None
    ra_deg: float | None
    dec_deg: float | None
    imsize_x: int | None
    imsize_y: int | None
    cellsize_arcsec: float | None
    beam_major_arcsec: float | None
    freq_ghz: float | None
    bandwidth_mhz: float | None
    integration_sec: float | None
    start_mjd: float | None
    mid_mjd: float | None
    end_mjd: float | None

    @property
    def identifier(self) -> str:
        """The dataset's name in the Virtual Observatory."""
        return f"{PUBLISHER}?image/{self.id}"

    @property
    def size_deg(self) -> tuple[float, float] | None:
        """Width and height."""
        if not (self.imsize_x and self.imsize_y and self.cellsize_arcsec):
            return None
        return self.imsize_x * self.cellsize_arcsec / 3600.0, self.imsize_y * self.cellsize_arcsec / 3600.0

    @property
    def footprint(self) -> Footprint | None:
        """What it shows; a point where its size is not known."""
        if self.ra_deg is None or self.dec_deg is None:
            return None
        return Footprint(self.ra_deg % 360.0, self.dec_deg, *(self.size_deg or (0.0, 0.0)))

    @property
    def extent(self) -> Circle | None:
        """The circle around its corners."""
        if self.ra_deg is None or self.dec_deg is None or self.size_deg is None:
            return None
        return Circle(self.ra_deg % 360.0, self.dec_deg, math.hypot(*self.size_deg) / 2.0)

    @property
    def span_mjd(self) -> tuple[float | None, float | None]:
        """When the observation began and ended."""
        length = (self.integration_sec or 0.0) / 86400.0
        start, end = self.start_mjd, self.end_mjd
        if start is None and self.mid_mjd is not None:
            start = self.mid_mjd - length / 2.0
        if end is None and start is not None:
            end = start + length
        return start, end

    @property
    def exposure_s(self) -> float | None:
        """Time on the field."""
        if self.integration_sec is not None:
            return self.integration_sec
        if self.start_mjd is None or self.end_mjd is None:
            return None
        return round((self.end_mjd - self.start_mjd) * 86400.0, 3)

    @property
    def wavelengths_m(self) -> tuple[float | None, float | None]:
        """Shortest and longest wavelength; both that of the centre where the bandwidth is not known."""
        if not self.freq_ghz or self.freq_ghz <= 0:
            return None, None
        half_ghz = min((self.bandwidth_mhz or 0.0) / 2000.0, 0.999 * self.freq_ghz)
        return SPEED_OF_LIGHT_M_GHZ / (self.freq_ghz + half_ghz), SPEED_OF_LIGHT_M_GHZ / (self.freq_ghz - half_ghz)


def image_of(identifier: str) -> int | None:
    """Key of the image that a dataset identifier names; ``None`` where it is none of ours. Case does not matter."""
    found = _DATASET.fullmatch(identifier.strip())
    return int(found[1]) if found else None


OBSCORE_COLUMNS = (
    Column("dataproduct_type", Kind.TEXT, "Kind of data.", ucd="meta.code.class"),
    Column("dataproduct_subtype", Kind.TEXT, "Kind of product: image, pbcor, residual …", ucd="meta.code.class"),
    Column("calib_level", Kind.INTEGER, "2 calibrated, 3 mosaics.", ucd="meta.code;obs.calib"),
    Column("obs_collection", Kind.TEXT, "Collection that it belongs to.", ucd="meta.id"),
    Column("obs_id", Kind.TEXT, "Run that made it.", ucd="meta.id"),
    Column("obs_publisher_did", Kind.TEXT, "Identifier of the dataset.", ucd="meta.ref.ivoid"),
    Column("access_url", Kind.TEXT, "Where the file is.", ucd="meta.ref.url"),
    Column("access_format", Kind.TEXT, "Media type of the file.", ucd="meta.code.mime"),
    Column("access_estsize", Kind.INTEGER, "About how large the file is.", "kbyte", "phys.size;meta.file"),
    Column("target_name", Kind.TEXT, "Field observed.", ucd="meta.id;src"),
    Column("s_ra", Kind.REAL, "Right ascension of the centre.", "deg", "pos.eq.ra"),
    Column("s_dec", Kind.REAL, "Declination of the centre.", "deg", "pos.eq.dec"),
    Column("s_fov", Kind.REAL, "Diameter of the circle around its corners.", "deg", "phys.angSize;instr.fov"),
    Column("s_region", Kind.TEXT, "Its corners.", ucd="pos.outline;obs.field"),
    Column("s_xel1", Kind.INTEGER, "Width [pixel].", ucd="meta.number"),
    Column("s_xel2", Kind.INTEGER, "Height [pixel].", ucd="meta.number"),
    Column("s_resolution", Kind.REAL, "Major axis of the beam (FWHM).", "arcsec", "pos.angResolution"),
    Column("s_pixel_scale", Kind.REAL, "Size of a pixel.", "arcsec", "phys.angSize;instr.pixel"),
    Column("t_min", Kind.MJD, "Start of the observation.", "d", "time.start;obs.exposure"),
    Column("t_max", Kind.MJD, "End of the observation.", "d", "time.end;obs.exposure"),
    Column("t_exptime", Kind.REAL, "Time on the field.", "s", "time.duration;obs.exposure"),
    Column("t_resolution", Kind.REAL, "The same: an image has one time.", "s", "time.resolution"),
    Column("t_xel", Kind.INTEGER, "Number of times.", ucd="meta.number"),
    Column("em_min", Kind.REAL, "Shortest wavelength.", "m", "em.wl;stat.min"),
    Column("em_max", Kind.REAL, "Longest wavelength.", "m", "em.wl;stat.max"),
    Column("em_res_power", Kind.REAL, "Frequency over bandwidth.", ucd="spect.resolution"),
    Column("em_xel", Kind.INTEGER, "Number of channels.", ucd="meta.number"),
    Column("o_ucd", Kind.TEXT, "What the pixels hold.", ucd="meta.ucd"),
    Column("pol_states", Kind.TEXT, "Polarizations.", ucd="meta.code;phys.polarization"),
    Column("pol_xel", Kind.INTEGER, "Number of polarizations.", ucd="meta.number"),
    Column("facility_name", Kind.TEXT, "Telescope.", ucd="meta.id;instr.tel"),
    Column("instrument_name", Kind.TEXT, "Instrument.", ucd="meta.id;instr"),
)

OBSCORE_UTYPES = {
    "dataproduct_type": "ObsDataset.dataProductType",
    "dataproduct_subtype": "ObsDataset.dataProductSubtype",
    "calib_level": "ObsDataset.calibLevel",
    "obs_collection": "DataID.collection",
    "obs_id": "DataID.observationID",
    "obs_publisher_did": "Curation.publisherDID",
    "access_url": "Access.reference",
    "access_format": "Access.format",
    "access_estsize": "Access.size",
    "target_name": "Target.name",
    "s_ra": "Char.SpatialAxis.Coverage.Location.Coord.Position2D.Value2.C1",
    "s_dec": "Char.SpatialAxis.Coverage.Location.Coord.Position2D.Value2.C2",
    "s_fov": "Char.SpatialAxis.Coverage.Bounds.Extent.diameter",
    "s_region": "Char.SpatialAxis.Coverage.Support.Area",
    "s_xel1": "Char.SpatialAxis.numBins1",
    "s_xel2": "Char.SpatialAxis.numBins2",
    "s_resolution": "Char.SpatialAxis.Resolution.Refval.value",
    "s_pixel_scale": "Char.SpatialAxis.Sampling.RefVal.SamplingPeriod",
    "t_min": "Char.TimeAxis.Coverage.Bounds.Limits.StartTime",
    "t_max": "Char.TimeAxis.Coverage.Bounds.Limits.StopTime",
    "t_exptime": "Char.TimeAxis.Coverage.Support.Extent",
    "t_resolution": "Char.TimeAxis.Resolution.Refval.value",
    "t_xel": "Char.TimeAxis.numBins",
    "em_min": "Char.SpectralAxis.Coverage.Bounds.Limits.LoLimit",
    "em_max": "Char.SpectralAxis.Coverage.Bounds.Limits.HiLimit",
    "em_res_power": "Char.SpectralAxis.Resolution.ResolPower.refVal",
    "em_xel": "Char.SpectralAxis.numBins",
    "o_ucd": "Char.ObservableAxis.ucd",
    "pol_states": "Char.PolarizationAxis.stateList",
    "pol_xel": "Char.PolarizationAxis.numBins",
    "facility_name": "Provenance.ObsConfig.Facility.name",
    "instrument_name": "Provenance.ObsConfig.Instrument.name",
}

LINK_COLUMNS = (
    Column("ID", Kind.TEXT, "Identifier that was asked for.", ucd="meta.id;meta.main"),
    Column("access_url", Kind.TEXT, "Where the link leads.", ucd="meta.ref.url"),
    Column("service_def", Kind.TEXT, "Description of a service, further down.", ucd="meta.ref"),
    Column("error_message", Kind.TEXT, "Why there is no link.", ucd="meta.code.error"),
    Column("description", Kind.TEXT, "What the link is.", ucd="meta.note"),
    Column("semantics", Kind.TEXT, "What it is to the dataset.", ucd="meta.code"),
    Column("content_type", Kind.TEXT, "Media type.", ucd="meta.code.mime"),
    Column("content_length", Kind.INTEGER, "Size of the download.", "byte", "phys.size;meta.file"),
)
