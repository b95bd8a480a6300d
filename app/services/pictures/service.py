"""What the service gives of an image besides its rows and its file: pictures, cut-outs, headers, sources in it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

from app.domain.errors import FileNotAccessible, FitsUnreadable, ImageBlank, TooFewImages
from app.domain.images import ImageDetail
from app.domain.paging import Page, PageRequest
from app.domain.pictures import AnimationRequest, CutoutRequest, Frame, ImageSource, Look
from app.repositories.frames import FrameRepository
from app.repositories.image_sources import ImageSourceRepository
from app.repositories.images import ImageRepository
from app.services.files import DataFiles
from app.services.fits import RadioImage, open_image
from app.services.pictures.animations import FEWEST_FRAMES, draw_animation
from app.services.pictures.cutouts import bound, window_around, write_cutout
from app.services.pictures.disk_cache import DiskCache, Maker
from app.services.pictures.headers import HduHeader, read_headers, read_headers_as_text
from app.services.pictures.planes import Plane, Window, north_up, read_plane
from app.services.pictures.previews import draw_preview
from app.services.pictures.scenes import Names, observed, scene_of
from app.services.pictures.thumbnails import draw_thumbnail
from app.services.pictures.turnstile import Turnstile

# Raised when pictures come to look different, so that none made before is given any more.
VERSION = 1
# Circles beyond so many would hide the image.
MOST_CIRCLES = 500

_TYPES = {".png": "image/png", ".gif": "image/gif", ".fits": "application/fits"}


@dataclass(frozen=True, slots=True)
class Picture:
    """A file that is made when it is opened, if nobody has made it before.

    ``etag`` names its content without it having been made: it follows from the image's file and what was asked.
    """

    name: str
    content_type: str
    etag: str
    open: Callable[[], IO[bytes]]


class PictureService:
    """Pictures of images, cut-outs, headers, and the sources measured in them.

    Parameters
    ----------
    images, measured, frames
        Where rows are read.
    files
        Finds the images' files.
    cache
        Keeps what was made.
    turnstile
        Bounds how many are made at a time.
    most_pixels
        Of a cut-out.
    """

    def __init__(
        self,
        images: ImageRepository,
        measured: ImageSourceRepository,
        frames: FrameRepository,
        files: DataFiles,
        *,
        cache: DiskCache,
        turnstile: Turnstile,
        most_pixels: int,
    ) -> None:
        self._images = images
        self._measured = measured
        self._frames = frames
        self._files = files
        self._cache = cache
        self._turnstile = turnstile
        self._most_pixels = most_pixels

    def headers(self, identifier: str) -> list[HduHeader]:
        """The headers of an image's file; raises NotFound, FileNotAccessible or FitsUnreadable."""
        path = self._file(self._images.get(identifier))
        with self._turnstile.passage():
            return read_headers(path)

    def headers_as_text(self, identifier: str) -> str:
        """The same as text, 80 characters a line."""
        path = self._file(self._images.get(identifier))
        with self._turnstile.passage():
            return read_headers_as_text(path)

    def sources(self, identifier: str, request: PageRequest) -> Page[ImageSource]:
        """What was measured in an image, brightest first; raises NotFound."""
        return self._measured.page(self._images.get(identifier).path, request)

    def thumbnail(self, identifier: str, size_px: int) -> Picture:
        """A small grey picture; raises NotFound, FileNotAccessible."""
        path = self._file(self._images.get(identifier))

        def make(file: IO[bytes]) -> None:
            with open_image(path) as image:
                draw_thumbnail(image, size_px, file)

        return self._picture(f"{path.stem}-thumbnail.png", [path], make, "thumbnail", size_px)

    def preview(self, identifier: str, look: Look) -> Picture:
        """A picture with everything around it; raises NotFound, FileNotAccessible."""
        record = self._images.get(identifier)
        path = self._file(record)
        sources = self._measured.brightest(record.path, MOST_CIRCLES) if look.sources else []

        def make(file: IO[bytes]) -> None:
            with open_image(path) as image:
                _draw(image, Names(path, record.ms_path), look, sources, None, file)

        return self._picture(f"{path.stem}-preview.png", [path], make, "preview", look, record.ms_path, sources)

    def cutout(self, identifier: str, request: CutoutRequest) -> Picture:
        """A square around a position or source, as FITS or as a preview.

        Raises
        ------
        NotFound
            No such image, or no such source.
        FileNotAccessible
            The image's file cannot be read.

        Notes
        -----
        What is wrong with the position, the size or the file shows when the picture is opened.
        """
        record = self._images.get(identifier)
        path = self._file(record)
        ra_deg, dec_deg = self._position(request, record.path)
        look = request.look
        drawn = request.format == "png"
        sources = self._measured.brightest(record.path, MOST_CIRCLES) if drawn and look.sources else []

        def make(file: IO[bytes]) -> None:
            with open_image(path) as image:
                window = window_around(image, ra_deg, dec_deg, request.size_arcsec)
                if drawn:
                    _draw(image, Names(path, record.ms_path), look, sources, window, file)
                else:
                    bound(image, window, self._most_pixels)
                    write_cutout(image, window, path.name, file)

        asked = (ra_deg, dec_deg, request.size_arcsec, *((look, record.ms_path, sources) if drawn else ("fits",)))
        name = f"{path.name.split('.fits')[0]}-{ra_deg:.5f}{dec_deg:+.5f}-{request.size_arcsec:g}as.{request.format}"
        return self._picture(name, [path], make, "cutout", self._most_pixels, *asked)

    def extent(self, identifier: str, request: CutoutRequest) -> Window:
        """Pixels that a cut-out as FITS would hold, without cutting it; raises what opening that would raise."""
        record = self._images.get(identifier)
        path = self._file(record)
        ra_deg, dec_deg = self._position(request, record.path)
        with self._turnstile.passage(), open_image(path) as image:
            window = window_around(image, ra_deg, dec_deg, request.size_arcsec)
            bound(image, window, self._most_pixels)
        return window

    def animation(self, identifier: str, request: AnimationRequest) -> Picture:
        """Images of the same sky one after another; raises NotFound, FileNotAccessible, TooFewImages."""
        record = self._images.get(identifier)
        path = self._file(record)
        # Of twice as many, because files may be gone.
        nearest = islice(self._located(self._frames.same_sky(record.id, 2 * request.frames)), request.frames)
        found = sorted(nearest, key=lambda each: (each[0].observed_mjd, each[0].id))
        if len(found) < FEWEST_FRAMES:
            raise TooFewImages("Fewer than two images show this field", readable=len(found))

        def make(file: IO[bytes]) -> None:
            with open_image(path) as image:
                reference = _sky(image, request.size_px)
            draw_animation(
                reference, _frames(found, request.size_px), fps=request.fps, size_px=request.size_px,
                cmap=request.cmap, file=file,
            )  # fmt: skip

        paths = [path, *(each for _, each in found)]
        stamps = [frame.stamp for frame, _ in found]
        return self._picture(f"{path.stem}-animation.gif", paths, make, "animation", request, stamps)

    def _file(self, record: ImageDetail) -> Path:
        return self._files.locate(record.path)

    def _position(self, request: CutoutRequest, image_path: str) -> tuple[float, float]:
        if request.ra_deg is not None and request.dec_deg is not None:
            return request.ra_deg, request.dec_deg
        return self._measured.position_deg(request.source or "", image_path)

    def _located(self, frames: Sequence[Frame]) -> Iterator[tuple[Frame, Path]]:
        """Frames whose file is there, each file once."""
        seen = set()
        for frame in frames:
            try:
                path = self._files.locate(frame.path)
            except FileNotAccessible:
                continue
            if path not in seen:
                seen.add(path)
                yield frame, path

    def _picture(self, name: str, paths: Sequence[Path], make: Maker, *asked: Any) -> Picture:
        facts = (VERSION, [_identity(path) for path in paths], asked)
        key = hashlib.blake2b(repr(facts).encode("utf-8", "surrogateescape"), digest_size=20).hexdigest()

        def opened() -> IO[bytes]:
            found = self._cache.find(key)
            if found is not None:
                return found
            with self._turnstile.passage():
                return self._cache.fetch(key, make)

        return Picture(name, _TYPES[os.path.splitext(name)[1]], key, opened)


def _draw(
    image: RadioImage, names: Names, look: Look, sources: Sequence[ImageSource], window: Window | None, file: IO[bytes]
) -> None:
    draw_preview(scene_of(image, names, look.size_px, window, sources), look, file)


def _frames(found: Sequence[tuple[Frame, Path]], size_px: int) -> Iterator[tuple[str, Plane]]:
    """Stamp and plane of every frame that can be read."""
    for frame, path in found:
        try:
            with open_image(path) as image:
                yield observed(image, Names(path, None)) or frame.stamp, _sky(image, size_px)
        except (FitsUnreadable, FileNotAccessible, ImageBlank):
            continue


def _sky(image: RadioImage, longest_px: int) -> Plane:
    """The plane of an open image with north up, in Jy/beam where its unit is known."""
    plane = north_up(read_plane(image, longest_px))
    return Plane(plane.pixels * (image.jy_per_unit() or 1.0), plane.wcs)


def _identity(path: Path) -> tuple[str, int, int, int, int]:
    """What tells a file from any other, and from itself after a change."""
    try:
        status = path.stat()
    except OSError as error:
        raise FileNotAccessible(path.name) from error
    return path.name, status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size
