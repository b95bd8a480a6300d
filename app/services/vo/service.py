"""What the service does for the Virtual Observatory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from app.domain.columns import Column
from app.domain.errors import DatabaseError, NotFound
from app.domain.paging import Page, PageRequest
from app.domain.pictures import CutoutRequest, Look
from app.domain.regions import bounding_circle
from app.domain.selection import SEPARATION, Selection
from app.domain.sky import ARCSEC_PER_DEGREE, Cone
from app.domain.sources import SOURCE_COLUMNS, Source
from app.domain.vo import (
    LINK_COLUMNS,
    OBSCORE_COLUMNS,
    OBSCORE_UTYPES,
    ConeRequest,
    CutRequest,
    ImageRequest,
    LinksRequest,
    image_of,
)
from app.repositories.observations import ObservationRepository
from app.services.files import DataFiles
from app.services.pictures.service import Picture, PictureService
from app.services.tables import Table
from app.services.vo import links, obscore, vosi
from app.services.vo.documents import datalink_descriptor, soda_descriptor

T = TypeVar("T")

# Simple Cone Search knows the names that UCDs had before 2005, and one column of each.
_CONE_UCDS = {"id": "ID_MAIN", "ra_deg": "POS_EQ_RA_MAIN", "dec_deg": "POS_EQ_DEC_MAIN"}
_LEFT_OUT = frozenset({"name"})
_LEAST = frozenset(_CONE_UCDS)
_USUAL = _LEAST | {
    "num_images", "n_points", "flux_type", "mean_flux_jy", "v", "eta", "max_flux_jy", "max_snr", "peak_flux_jy",
    "first_mjd", "last_mjd",
}  # fmt: skip
_ALL = frozenset(column.name for column in SOURCE_COLUMNS) - _LEFT_OUT
_BY_VERBOSITY = {1: _LEAST, 2: _USUAL, 3: _ALL}

MOST_DATASETS = 1000
_WHOLE_SKY_DEG = 180.0
_OBSCORE_ATTRIBUTES: Mapping[str, Mapping[str, str]] = {
    **{name: {"utype": f"obscore:{utype}"} for name, utype in OBSCORE_UTYPES.items()},
    "obs_publisher_did": {"ID": "obs_publisher_did", "utype": "obscore:Curation.publisherDID"},
    "s_region": {"utype": f"obscore:{OBSCORE_UTYPES['s_region']}", "xtype": "adql:REGION"},
}


class ObservatoryService:
    """Sources by Simple Cone Search, images by Simple Image Access, DataLink and SODA.

    Parameters
    ----------
    sources
        Reads a page of sources.
    images
        Images with their observations.
    pictures
        Makes cut-outs.
    files
        Finds the images' files.
    """

    def __init__(
        self,
        sources: Callable[[PageRequest], Page[Source]],
        images: ObservationRepository,
        pictures: PictureService,
        files: DataFiles,
    ) -> None:
        self._sources = sources
        self._images = images
        self._pictures = pictures
        self._files = files

    def search_cone(self, request: ConeRequest) -> Table:
        """Sources within a circle, nearest first."""
        columns = cone_columns(request.verbosity)
        description = "Sources of the DSA-110 continuum survey, positions of the newest measurement."
        if request.most == 0 or request.cone.radius_deg == 0.0:
            return Table("sources", columns, (), description, overflow=lambda: request.most == 0)
        selection = Selection(columns=columns, cone=Cone(*request.cone))
        limit = None if request.most is None else request.most + 1
        page: Page[Any] = self._sources(PageRequest(limit, selection=selection, format=request.form.name))
        rows = _Bounded(page.items, request.most)
        notes = {"covered": page.covered} if page.covered else {}
        return Table("sources", columns, rows, description, notes, rows.overflow)

    def search_images(self, request: ImageRequest, base: str) -> Table:
        """Images by ObsCore, with how to ask for links and cut-outs; ``base`` is what URLs begin with."""
        found = obscore.matching(self._images, request) if request.most != 0 else iter(())
        rows = _Bounded((obscore.row(image, base) for image in found), request.most)
        services = [
            datalink_descriptor(f"{base}/vo/datalink", ref="obs_publisher_did"),
            soda_descriptor(f"{base}/vo/soda/sync", ref="obs_publisher_did"),
        ]
        return Table(
            "images",
            OBSCORE_COLUMNS,
            rows,
            "Images of the DSA-110 continuum survey.",
            {"standardID": "ivo://ivoa.net/std/SIA#query-2.0"},
            rows.overflow,
            _OBSCORE_ATTRIBUTES,
            "\n".join(services),
        )

    def links(self, request: LinksRequest, base: str) -> Table:
        """What there is of each dataset, in the order of the request; ``base`` is what URLs begin with."""
        wanted = list(dict.fromkeys(request.identifiers))
        keys = {identifier: image_of(identifier) for identifier in wanted[:MOST_DATASETS]}
        found = self._images.find([key for key in keys.values() if key is not None])

        def of_dataset(identifier: str, key: int | None) -> Iterable[links.Row]:
            image = found.get(key) if key is not None else None
            if image is None:
                return (links.unknown(identifier),)
            return links.links_of(identifier, image, self._files, base)

        rows = _Bounded(chain.from_iterable(of_dataset(*each) for each in keys.items()), request.most)
        only = next(iter(found.values())) if len(keys) == len(found) == 1 else None
        extent, footprint = (only.extent, only.footprint) if only is not None else (None, None)
        soda = soda_descriptor(f"{base}/vo/soda/sync", ref="ID", circle=extent, footprint=footprint)
        return Table(
            "links",
            LINK_COLUMNS,
            rows,
            notes={"standardID": "ivo://ivoa.net/std/DataLink#links-1.1"},
            overflow=lambda: rows.overflow() or len(wanted) > MOST_DATASETS,
            attributes={"ID": {"ID": "ID"}},
            attached=soda,
        )

    def cut(self, request: CutRequest) -> Picture | Path:
        """The square around a region of an image, or the image's file where no region is asked for.

        Raises
        ------
        NotFound
            No such dataset.
        FileNotAccessible
            The image's file cannot be read.
        """
        key = image_of(request.identifier)
        image = self._images.find([key]).get(key) if key is not None else None
        if image is None:
            raise NotFound("Dataset", request.identifier)
        if request.region is None:
            return self._files.locate(image.path)
        circle = bounding_circle(request.region)
        if circle is None or circle.radius_deg >= _WHOLE_SKY_DEG / 2.0:
            return self._files.locate(image.path)
        size_arcsec = 2.0 * circle.radius_deg * ARCSEC_PER_DEGREE
        cutout = CutoutRequest(circle.ra_deg, circle.dec_deg, None, size_arcsec, "fits", Look())
        return self._pictures.cutout(str(image.id), cutout)

    def unavailable(self) -> str | None:
        """Why no question can be answered now; ``None`` where they can."""
        try:
            self._images.check()
        except DatabaseError as error:
            return error.message
        return None


class _Bounded(Iterator[T]):
    """At most so many of some rows; afterwards it knows whether there are more."""

    def __init__(self, rows: Iterable[T], most: int | None) -> None:
        self._rows = iter(rows)
        self._most = most
        self._given = 0

    def __next__(self) -> T:
        if self._given == self._most:
            raise StopIteration
        row = next(self._rows)
        self._given += 1
        return row

    def overflow(self) -> bool:
        """Whether some were left out; if none was wanted, that is taken to be so."""
        if self._most is None or self._given < self._most:
            return False
        return self._most == 0 or next(self._rows, None) is not None


def cone_columns(verbosity: int) -> tuple[Column, ...]:
    """Columns of a cone search: few, the usual ones, or all there are."""
    chosen = _BY_VERBOSITY[verbosity]
    columns = tuple(
        column._replace(ucd=_CONE_UCDS.get(column.name, column.ucd))
        for column in SOURCE_COLUMNS
        if column.name in chosen
    )
    return columns if verbosity == 1 else (*columns, SEPARATION)


def tables() -> bytes:
    """The tables that can be searched, by VOSI."""
    return vosi.tables(
        (
            ("sources", "Sources, by /vo/scs/sources.", cone_columns(3)),
            ("images", "Images by ObsCore, by /vo/sia2/query.", OBSCORE_COLUMNS),
        )
    )
