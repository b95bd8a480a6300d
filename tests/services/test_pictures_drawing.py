"""Thumbnails, previews and animations, looked at by their pixels."""

from __future__ import annotations

import io
import math
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.patches import Ellipse
from matplotlib.transforms import Affine2D
from PIL import Image

from app.domain import pictures
from app.domain.errors import TooFewImages
from app.domain.pictures import ImageSource, Look
from app.services.fits import open_image
from app.services.pictures import previews, stretches, style
from app.services.pictures.animations import draw_animation
from app.services.pictures.headers import read_headers, read_headers_as_text
from app.services.pictures.planes import Plane, read_plane
from app.services.pictures.previews import draw_preview, layout
from app.services.pictures.scenes import Names, scene_of
from app.services.pictures.thumbnails import draw_thumbnail
from tests.support.radio_images import NX, NY, PEAK_JY, pixels, write_image


def thumbnail(path: Path, size_px: int = 256) -> Image.Image:
    made = io.BytesIO()
    with open_image(path) as image:
        draw_thumbnail(image, size_px, made)
    return Image.open(made)


def preview(path: Path, measured: Sequence[ImageSource] = (), **look: Any) -> bytes:
    made = io.BytesIO()
    with open_image(path) as image:
        draw_preview(scene_of(image, Names(path, None), look.get("size_px", 900), None, measured), Look(**look), made)
    return made.getvalue()


def picture_of(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content)).convert("RGB")


def source(ra_deg: float, dec_deg: float, snr: float) -> ImageSource:
    return ImageSource(1, "S", ra_deg, dec_deg, 0.1, 0.01, snr, 60000.0, 0.1)


def test_names_that_may_be_asked_for_are_those_that_can_be_drawn() -> None:
    assert tuple(stretches.STRETCHES) == pictures.STRETCHES
    assert tuple(style.THEMES) == pictures.THEMES


@pytest.mark.parametrize(("shape", "size_px", "wanted"), [
    ((NY, NX), 256, (256, 192)), ((NY, NX), 32, (32, 24)), ((300, 40), 64, (9, 64)), ((1, 500), 100, (100, 1)),
])  # fmt: skip
def test_longer_side_of_a_thumbnail_is_as_asked(
    tmp_path: Path, shape: tuple[int, int], size_px: int, wanted: tuple[int, int]
) -> None:
    plane = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    assert thumbnail(write_image(tmp_path / "a.fits", plane), size_px).size == wanted


def test_thumbnail_spans_the_1st_to_the_99_5th_percentile(tmp_path: Path) -> None:
    plane = np.linspace(0.0, 1.0, NX * NY).reshape(NY, NX).astype(np.float32)
    grey = np.asarray(thumbnail(write_image(tmp_path / "a.fits", plane), NX))
    assert (grey[-1, 0], grey[0, -1]) == (0, 255), "the first row of the file is the lowest"
    wanted = np.clip((plane[::-1] - 0.01) / 0.985, 0, 1) * 255
    assert np.abs(grey - wanted).max() < 2.0


def test_pixels_without_a_value_are_transparent(tmp_path: Path) -> None:
    plane = pixels()
    plane[: NY // 2] = np.nan
    made = thumbnail(write_image(tmp_path / "a.fits", plane), NX)
    assert made.mode == "LA"
    alpha = np.asarray(made)[:, :, 1]
    assert (alpha[: NY // 2].min(), alpha[NY // 2 :].max()) == (255, 0)
    assert thumbnail(write_image(tmp_path / "b.fits"), NX).mode == "L"


@pytest.mark.parametrize("stretch", pictures.STRETCHES)
@pytest.mark.parametrize(
    "plane",
    [
        pixels(),
        np.zeros((20, 30), np.float32),
        np.full((20, 30), -7.0, np.float32),
        np.where(np.arange(600).reshape(20, 30) == 77, 1e-30, np.nan).astype(np.float32),
        np.where(np.arange(600).reshape(20, 30) == 77, 1e30, 0.0).astype(np.float32),
        -np.abs(pixels()),
    ],
    ids=["usual", "zero", "constant", "one value", "one peak", "negative"],
)
def test_every_stretch_draws_every_plane(tmp_path: Path, stretch: str, plane: Any) -> None:
    norm = stretches.norm(plane, stretch)
    shades = np.ma.filled(norm(plane[np.isfinite(plane)]), np.nan)
    assert np.isfinite(shades).all()
    assert shades.min() >= -1e-6
    assert shades.max() <= 1.0 + 1e-6
    ticks = stretches.ticks(norm, 0.05)
    assert all(norm.vmin <= tick <= norm.vmax for tick in ticks)
    assert np.diff(ticks).min(initial=1.0) > 0.0


@pytest.mark.parametrize("stretch", ["asinh", "linear", "sqrt", "percentile", "zscale"])
def test_colour_bar_has_round_ticks_and_the_level_of_the_sky(stretch: str) -> None:
    norm = stretches.norm(pixels() * 1000, stretch)
    ticks = stretches.ticks(norm, 0.04)
    assert 0.0 in ticks
    assert len(ticks) >= 4
    assert np.diff([float(norm(tick)) for tick in ticks]).min() >= 0.04
    assert all(len(f"{tick:.6g}".strip("-0.").replace(".", "")) <= 3 for tick in ticks)


@pytest.mark.parametrize("shape", [(NY, NX), (10, 400), (400, 10), (1, 1)])
@pytest.mark.parametrize("size_px", [320, 900, 2048])
def test_longer_side_of_a_preview_is_as_asked(tmp_path: Path, shape: tuple[int, int], size_px: int) -> None:
    plane = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    picture = picture_of(preview(write_image(tmp_path / "a.fits", plane), size_px=size_px))
    assert max(picture.size) == pytest.approx(size_px, abs=2)
    assert min(picture.size) > 120


@pytest.mark.parametrize("cmap", pictures.COLOUR_MAPS)
def test_every_colour_map_draws_with_everything_on(tmp_path: Path, cmap: str) -> None:
    path = write_image(tmp_path / "a.fits")
    everything = preview(path, [source(180.0, 37.2, 9.0)], cmap=cmap, grid=True, sources=True, size_px=400)
    assert everything != preview(path, cmap=cmap, size_px=400)


def test_equal_requests_give_equal_bytes(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.fits")
    assert preview(path, size_px=400) == preview(path, size_px=400)


def test_paper_follows_the_theme(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.fits")
    assert picture_of(preview(path, theme="light")).getpixel((2, 2)) == (255, 255, 255)
    assert max(picture_of(preview(path, theme="dark")).getpixel((2, 2))) < 64  # type: ignore[arg-type]


def test_circles_stand_where_the_sources_are(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.fits", np.zeros((200, 200), np.float32), header={"CRPIX1": 101.0, "CRPIX2": 101.0})
    place = layout((200, 200), 900.0)
    east_deg = 50 * 4.0 / 3600.0 / math.cos(math.radians(37.2))
    found = []
    for ra_deg in (180.0, 180.0 + east_deg):
        drawn, bare = (
            np.asarray(picture_of(preview(path, each, sources=True, beam=False))).astype(int)
            for each in ([source(ra_deg, 37.2, 9.0)], [])
        )
        difference = np.abs(drawn - bare).sum(axis=2) > 60
        difference[: int(place.height - 58 - 0.9 * place.image_height)] = False  # the legend
        y, x = np.nonzero(difference)
        found.append((x.mean(), y.mean()))
    scale = place.image_width / 200
    assert found[0][0] - found[1][0] == pytest.approx(50 * scale, abs=2.0), "east is left"
    assert found[0][1] == pytest.approx(found[1][1], abs=2.0)


@pytest.mark.parametrize("pa_deg", [0.0, 30.0, 90.0, -45.0])
def test_beam_is_to_scale_and_turned_from_north_through_east(tmp_path: Path, pa_deg: float) -> None:
    header = {"BMAJ": 60.0 / 3600.0, "BMIN": 20.0 / 3600.0, "BPA": pa_deg}
    with open_image(write_image(tmp_path / "a.fits", header=header)) as image:
        scene = scene_of(image, Names(tmp_path / "a.fits", None), 900)
    with style.drawing("light", width_px=400, height_px=400) as figure:
        axes = figure.add_axes((0, 0, 1, 1))
        assert scene.beam is not None
        previews._draw_beam(axes, scene.plane, scene.beam, Look())
        (ellipse,) = axes.findobj(Ellipse)
    (outline,) = ellipse.get_path().to_polygons(ellipse.get_patch_transform() + Affine2D().scale(100))
    outline /= 100.0
    distance = np.hypot(*outline.T)
    assert (distance.max(), distance.min()) == (pytest.approx(7.5, rel=0.02), pytest.approx(2.5, rel=0.02))
    x, y = outline[distance.argmax()] / distance.max()
    towards = (-math.sin(math.radians(pa_deg)), math.cos(math.radians(pa_deg)))  # east is left
    assert abs(x * towards[0] + y * towards[1]) == pytest.approx(1.0, abs=1e-3)


def test_sources_off_the_image_and_without_a_position_are_left_out(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.fits")
    absent = [source(0.0, -37.2, 9.0), source(180.0, 38.2, 1.0), source(180.0, 37.2, 9.0)._replace(ra_deg=None)]
    assert preview(path, absent, sources=True, size_px=400) == preview(path, size_px=400)


@pytest.mark.parametrize(
    "header",
    [
        {"OBJECT": "$\\frac{broken^}_{$"},
        {"OBJECT": "100% <b>&amp; $x"},
        {"BUNIT": "$K^}", "OBJECT": None},
        {"CTYPE1": "X", "CTYPE2": "Y"},
        {"CTYPE1": "GLON-SIN", "CTYPE2": "GLAT-SIN"},
        {"BMAJ": 40.0, "BMIN": 40.0},
        {"BMAJ": None},
        {"DATE-OBS": "not a date"},
        {"CRVAL2": 90.0},
        {"CRVAL1": 0.0},
    ],
    ids=str,
)
def test_odd_headers_are_drawn_all_the_same(tmp_path: Path, header: dict[str, Any]) -> None:
    path = write_image(tmp_path / "a.fits", header=header)
    picture_of(preview(path, [source(180.0, 37.2, 9.0)], sources=True, grid=True, size_px=400)).verify()


def test_unit_is_chosen_so_that_numbers_are_short(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.fits", header={"DATE-OBS": "2025-10-31T13:49:06.4"})
    wanted = [(1.0, "Jy/beam", "mJy/beam"), (100.0, "Jy/beam", "Jy/beam"), (1.0, "mJy/beam", "µJy/beam"),
              (1.0, "K", "K")]  # fmt: skip
    for factor, unit, shown in wanted:
        write_image(path, pixels() * np.float32(factor), header={"BUNIT": unit})
        with open_image(path) as image:
            scene = scene_of(image, Names(path, None), 100)
        assert scene.unit == shown
    assert scene.plane.pixels.max() == pytest.approx(PEAK_JY)


@pytest.mark.parametrize(
    ("header", "name", "ms_path", "shown"),
    [
        ({"DATE-OBS": "2025-10-31T13:49:06.6"}, "a.fits", "/ms/2020-01-01T00:00:00.ms", "2025-10-31 13:49:07 UTC"),
        ({}, "a.fits", "/ms/2025-10-31T13:49:06_cal.ms", "2025-10-31 13:49:06 UTC"),
        ({"DATE-OBS": "31/10/25"}, "2025-10-31T13:49:06.img-image.fits", None, "2025-10-31 13:49:06 UTC"),
        ({}, "a.fits", None, None),
    ],
)
def test_date_comes_from_header_measurement_set_or_name(
    tmp_path: Path, header: dict[str, Any], name: str, ms_path: str | None, shown: str | None
) -> None:
    path = write_image(tmp_path / name, header=header)
    with open_image(path) as image:
        scene = scene_of(image, Names(path, ms_path), 100)
    assert (scene.field, scene.facts[:1]) == ("3C286", (shown,) if shown else ())


def test_threads_draw_side_by_side(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.fits")
    alone = {theme: preview(path, theme=theme, size_px=400) for theme in pictures.THEMES}
    wrong: list[str] = []

    def work(theme: str) -> None:
        for _ in range(2):
            if preview(path, theme=theme, size_px=400) != alone[theme]:
                wrong.append(theme)

    threads = [threading.Thread(target=work, args=(theme,)) for theme in pictures.THEMES * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


IMPORTS = """
import sys
from app import create_app
from app.config import Settings
create_app(Settings.from_environment({"DSA110_ENV": "testing"}))
print([name for name in ("matplotlib", "PIL", "astropy", "numpy") if name in sys.modules])
import io
from pathlib import Path
from app.domain.pictures import Look
from app.services.fits import open_image
from app.services.pictures.previews import draw_preview
from app.services.pictures.scenes import Names, scene_of
path = Path(sys.argv[1])
with open_image(path) as image:
    draw_preview(scene_of(image, Names(path, None), 400), Look(size_px=400), io.BytesIO())
print("matplotlib.pyplot" in sys.modules)
"""


def test_drawing_libraries_are_loaded_by_the_first_picture_and_pyplot_never(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.fits")
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS, str(path)], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["[]", "False"]


def planes(tmp_path: Path, count: int, **cards: Any) -> list[tuple[str, Plane]]:
    found = []
    for number in range(count):
        with open_image(write_image(tmp_path / f"{number}.fits", pixels(number), header=cards)) as image:
            found.append((f"2025-10-{number + 1:02d} 00:00:00 UTC", read_plane(image, 200)))
    return found


def animated(reference: Plane, frames: list[tuple[str, Plane]]) -> Image.Image:
    made = io.BytesIO()
    draw_animation(reference, frames, fps=4, size_px=240, cmap="inferno", file=made)
    return Image.open(made)


def test_animation_has_a_frame_for_each_image_at_the_pace_asked_for(tmp_path: Path) -> None:
    frames = planes(tmp_path, 5)
    made = animated(frames[2][1], frames)
    assert (made.n_frames, made.info["duration"], made.info["loop"], made.size) == (5, 250, 0, (240, 180))  # type: ignore[attr-defined]
    shown = []
    for number in range(5):
        made.seek(number)
        shown.append(np.asarray(made.convert("RGB")).tobytes())
    assert len(set(shown)) == 5


def test_frames_lie_on_the_same_sky(tmp_path: Path) -> None:
    """A shifted and mirrored image shows its star at the same place, and nothing where it does not reach."""
    star = np.zeros((NY, NX), np.float32)
    star[40:43, 60:63] = 1.0
    with open_image(write_image(tmp_path / "a.fits", star)) as image:
        reference = read_plane(image, 200)
    shifted = {"CRPIX1": NX - 60.0, "CDELT1": 4.0 / 3600.0, "CRPIX2": 20.0}
    moved = np.zeros((NY, NX), np.float32)
    moved[14:17, 57:60] = 1.0
    with open_image(write_image(tmp_path / "b.fits", moved, header=shifted)) as image:
        other = read_plane(image, 200)
    made = animated(reference, [("one", reference), ("two", other)])
    places = []
    for number in range(2):
        made.seek(number)
        rgb = np.asarray(made.convert("RGB")).astype(int)
        y, x = np.nonzero(rgb[:150].sum(axis=2) > 500)
        places.append((x.mean(), y.mean()))
    assert places[0] == pytest.approx(places[1], abs=1.5)
    assert tuple(rgb[170, 200]) == (0x39, 0x42, 0x4D)


def test_one_frame_is_no_animation(tmp_path: Path) -> None:
    frames = planes(tmp_path, 1)
    with pytest.raises(TooFewImages):
        animated(frames[0][1], frames)


def test_header_has_every_card_of_every_hdu(tmp_path: Path) -> None:
    from astropy.io import fits

    table = fits.BinTableHDU.from_columns([fits.Column("A", "E", array=[1.0])], name="BEAMS")
    path = write_image(
        tmp_path / "a.fits", extra_hdus=[table], history=["one", "two"],
        header={"LONGTEXT": "x" * 100, "EMPTY": None, "NOVALUE": fits.card.UNDEFINED, "TRUTH": True, "COUNT": 3},
    )  # fmt: skip
    primary, beams = read_headers(path)
    assert (primary.number, primary.kind, primary.shape) == (0, "image", (NY, NX))
    assert (beams.number, beams.name, beams.kind) == (1, "BEAMS", "table")
    values = {card.keyword: card.value for card in primary.cards}
    assert values["LONGTEXT"] == "x" * 100
    assert values["NOVALUE"] is None
    assert values["TRUTH"] is True
    assert (values["COUNT"], values["CRVAL1"]) == (3, 180.0)
    assert [card.value for card in primary.cards if card.keyword == "HISTORY"] == ["one", "two"]
    text = read_headers_as_text(path)
    assert {len(line) for line in text.splitlines()} == {80, 0}
    assert text.count("END" + " " * 77) == 2
