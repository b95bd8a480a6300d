"""Search on the sky, beside a computation over every row that knows no index."""

from __future__ import annotations

import math
import os
import random
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pytest

from app.db.files import PipelineFiles
from app.db.pipeline import PipelineDatabase
from app.db.upgrade import PipelineUpgrade
from app.domain.paging import PageRequest
from app.domain.selection import Selection
from app.domain.sky import Cone
from app.repositories import images, ms, sources
from app.repositories.images import ImageRepository
from tests.support.pipeline import Pipeline

# Around which most things stand: where right ascension wraps, both poles, and a place without surprises.
CENTRES = ((0.0, 0.0), (359.9999, 41.3), (123.4, 90.0), (20.0, -90.0), (77.7, 89.95), (187.7, 12.4))
ROUNDING_ARCSEC = 1e-7
N = 400
CONES = int(os.environ.get("CONTIMG_TEST_CONES", "2000"))


class Sky(NamedTuple):
    """A reader, and where everything is: name, right ascension, declination [deg]."""

    database: PipelineDatabase
    names: np.ndarray
    ra_deg: np.ndarray
    dec_deg: np.ndarray


def around(chance: random.Random) -> tuple[float, float]:
    """A position at a distance of 0.01 arcsec to 40 degrees from one of the centres."""
    ra_deg, dec_deg = chance.choice(CENTRES)
    distance, angle = math.radians(10 ** chance.uniform(-5.5, 1.6)), chance.uniform(0, 2 * math.pi)
    dec = math.radians(dec_deg)
    sin_dec = math.sin(dec) * math.cos(distance) + math.cos(dec) * math.sin(distance) * math.cos(angle)
    turn = math.atan2(
        math.sin(angle) * math.sin(distance) * math.cos(dec), math.cos(distance) - math.sin(dec) * sin_dec
    )
    return (ra_deg + math.degrees(turn)) % 360.0, math.degrees(math.asin(max(-1.0, min(1.0, sin_dec))))


def separations_arcsec(sky: Sky, ra_deg: float, dec_deg: float) -> np.ndarray:
    """By the chord between unit vectors, which is another formula than the service's."""
    chord = np.linalg.norm(vectors(sky.ra_deg, sky.dec_deg) - vectors(np.array([ra_deg]), np.array([dec_deg])), axis=1)
    return np.degrees(2 * np.arcsin(np.clip(chord / 2, 0, 1))) * 3600


def vectors(ra_deg: np.ndarray, dec_deg: np.ndarray) -> np.ndarray:
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)


@pytest.fixture(scope="module", params=["upgraded", "as made"])
def sky(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sky]:
    """Sources, and an image and a measurement set with each, half of the images without a centre of their own."""
    chance = random.Random(1)
    places = [around(chance) for _ in range(N if request.param == "upgraded" else N // 8)]
    with Pipeline(tmp_path_factory.mktemp("sky"), "orm") as pipeline:
        for n, (ra_deg, dec_deg) in enumerate(places):
            stored = ra_deg - 360.0 if n % 5 == 0 and ra_deg > 180.0 else ra_deg
            pipeline.make_photometry(source_id=f"{n:05}", ra_deg=stored, dec_deg=dec_deg)
            where = {"pointing_ra_deg": stored, "pointing_dec_deg": dec_deg}
            path = pipeline.make_ms(f"/ms/{n:05}.ms", **where, ra_deg=1.0, dec_deg=1.0)
            centre = {"center_ra_deg": stored, "center_dec_deg": dec_deg} if n % 2 else {}
            pipeline.make_image(
                path=f"/image/{n:05}.fits",
                ms_path=path,
                **{"center_ra_deg": None, "center_dec_deg": None, **centre},
                imsize_x=512,
                imsize_y=256,
                cellsize_arcsec=10.0,
            )
        if request.param == "upgraded":
            PipelineUpgrade(pipeline.products_path, "products").upgrade()
        database = PipelineDatabase(PipelineFiles(pipeline.products_path, pipeline.registry_path))
        names = np.array([f"{n:05}" for n in range(len(places))])
        yield Sky(database, names, *(np.array(angles) for angles in zip(*places, strict=True)))
        database.close()


LISTS = {
    "sources": (sources.LISTS[None], lambda source: source.id),
    "images": (images.LIST, lambda image: image.path[-10:-5]),
    "pointings": (ms.LIST, lambda ms: ms.path[-8:-3]),
}


@pytest.mark.parametrize("kind", LISTS)
def test_random_cones_equal_brute_force_and_are_sorted_by_distance(sky: Sky, kind: str) -> None:
    made, name_of = LISTS[kind]
    chance = random.Random(kind)
    found_any = 0
    for _ in range(CONES // (1 if len(sky.names) == N and kind == "sources" else 20)):
        ra_deg, dec_deg = around(chance)
        if chance.random() < 0.5:
            nearest = chance.randrange(len(sky.names))
            ra_deg, dec_deg = float(sky.ra_deg[nearest]), float(sky.dec_deg[nearest])
        radius_deg = 10 ** chance.uniform(math.log10(0.1 / 3600), 1)
        cone = Cone(ra_deg, dec_deg, radius_deg)
        items = list(made.page(sky.database, PageRequest(1000, selection=Selection(cone=cone))).items)
        distances = separations_arcsec(sky, ra_deg, dec_deg)
        inside = set(sky.names[distances < radius_deg * 3600 - 1e-3])
        near = set(sky.names[distances < radius_deg * 3600 + 1e-3])
        assert inside <= set(map(name_of, items)) <= near, cone
        given = [item.separation_arcsec for item in items]
        assert given == sorted(given)
        expected = {name: distances[int(name)] for name in near}
        assert all(abs(item.separation_arcsec - expected[name_of(item)]) < 2e-3 for item in items), cone
        found_any += bool(items)
    assert found_any > 30


def test_cones_page_by_key_without_losing_any(sky: Sky) -> None:
    cone = Cone(0.0, 0.0, 40.0)
    made = sources.LISTS[None]
    whole = [s.id for s in made.page(sky.database, PageRequest(1000, selection=Selection(cone=cone))).items]
    walked, cursor = [], None
    while True:
        page = made.page(sky.database, PageRequest(3, cursor=cursor, selection=Selection(cone=cone)))
        walked += [source.id for source in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert walked == whole
    assert len(walked) > 5


def test_footprints_are_what_the_images_show(sky: Sky) -> None:
    """512 by 256 pixels of 10 arcsec: 42.7 arcmin each way in right ascension, 21.3 in declination."""
    chance = random.Random(3)
    shown_any = 0
    for _ in range(60):
        n = chance.randrange(len(sky.names))
        ra_deg = float(sky.ra_deg[n])
        dec_deg = min(90.0, max(-90.0, float(sky.dec_deg[n]) + chance.uniform(-0.5, 0.5)))
        selection = Selection(cone=Cone(ra_deg, dec_deg, 0.0, match="footprint"))
        found = {
            image.path[-10:-5] for image in images.LIST.page(sky.database, PageRequest(1000, selection=selection)).items
        }
        shown = projected(sky, ra_deg, dec_deg)
        assert found == shown
        assert ImageRepository(sky.database).covered(ra_deg, dec_deg) == ("true" if shown else "false")
        shown_any += bool(shown)
    assert 10 < shown_any < 60


def projected(sky: Sky, ra_deg: float, dec_deg: float) -> set[str]:
    """Images whose tangent plane, spanned by vectors to the east and north, holds a position."""
    ra, dec = np.radians(sky.ra_deg), np.radians(sky.dec_deg)
    east = np.stack([-np.sin(ra), np.cos(ra), np.zeros_like(ra)], axis=1)
    north = np.stack([-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)], axis=1)
    (place,) = vectors(np.array([ra_deg]), np.array([dec_deg]))
    ahead = vectors(sky.ra_deg, sky.dec_deg) @ place > 0
    width, height = np.radians(5120 / 3600) / 2, np.radians(2560 / 3600) / 2
    return set(sky.names[ahead & (abs(east @ place) <= width) & (abs(north @ place) <= height)])


@pytest.mark.parametrize("sky", ["upgraded"], indirect=True)
def test_an_index_leads_to_what_lies_in_a_cone(sky: Sky) -> None:
    values = sources.LISTS[None].searched.values(Cone(10.0, 10.0, 0.01), 0.01)
    plans = {
        name: [row[3] for row in sky.database.rows(f"EXPLAIN QUERY PLAN {made.searched.candidates}", values)]
        for name, (made, _) in LISTS.items()
    }
    for name, plan in plans.items():
        assert not [
            step for step in plan if step.startswith("SCAN") and "json_each" not in step and " w " not in step + " "
        ], (name, plan)
    reach = sky.database.rows(f"EXPLAIN QUERY PLAN {images.REACH}")
    assert "contimg_api_images_reach" in reach[0][3]


def test_no_image_covers_where_none_was_taken_and_nobody_knows_where_sizes_are_missing(pipeline: Pipeline) -> None:
    database = PipelineDatabase(PipelineFiles(pipeline.products_path, pipeline.registry_path))
    repository = ImageRepository(database)
    assert repository.covered(10.0, 10.0) == "false"
    size = {"imsize_x": None, "imsize_y": None, "cellsize_arcsec": None}
    pipeline.make_image(center_ra_deg=10.0, center_dec_deg=12.0, **size)
    assert repository.covered(10.0, 10.0) == "unknown"
    assert repository.covered(10.0, -30.0) == "false"
    pipeline.make_image(center_ra_deg=10.0, center_dec_deg=10.0, imsize_x=10, imsize_y=10, cellsize_arcsec=3.0)
    assert repository.covered(10.0, 10.0) == "true"
    database.close()
