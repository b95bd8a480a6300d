"""Searching lists on the sky: around a position, or around a source of ours, and what an empty answer means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from app.domain.paging import Page, PageRequest
from app.repositories.images import ImageRepository
from app.repositories.sources import SourceRepository

R = TypeVar("R", bound=tuple[Any, ...])


class SkySearch:
    """Finds the place that a request means, and tells whether it was ever observed."""

    def __init__(self, images: ImageRepository, sources: SourceRepository) -> None:
        self._images = images
        self._sources = sources

    def page(self, request: PageRequest, read: Callable[[PageRequest], Page[R]]) -> Page[R]:
        """The page that a list reads for a request, whose cone may be given by the name of a source.

        Where nothing lies in the cone, the page says whether any image shows its centre.

        Raises
        ------
        NotFound
            No source has that name.
        """
        cone = request.selection.cone
        if cone is None:
            return read(request)
        if cone.name is not None:
            ra_deg, dec_deg = self._sources.position(cone.name)
            cone = cone._replace(ra_deg=ra_deg, dec_deg=dec_deg)
            request = replace(request, selection=replace(request.selection, cone=cone))
        page = read(request)
        if page.items or request.cursor is not None or request.limit == 0:
            return page
        assert cone.ra_deg is not None
        assert cone.dec_deg is not None
        return replace(page, covered=self._images.covered(cone.ra_deg, cone.dec_deg))
