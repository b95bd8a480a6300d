"""The synthetic survey: complete, the same every time, and never built over what is not its own."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from click.testing import CliRunner

from app import create_app
from app.cli import main
from app.config import Settings
from app.domain.jobs import job_status
from app.domain.qa import grade_of_stage
from app.services.demo import build
from app.services.demo.build import Demo, DemoRefused, build_demo
from app.services.demo.survey import AWKWARD_ID, FIELDS, iau_name, observations, sources_of


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return build_demo(tmp_path_factory.mktemp("demo"))


@pytest.fixture
def products(demo: Demo) -> Iterator[sqlite3.Connection]:
    uri = f"file:{demo.directory}/state/products.sqlite3?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        yield connection


def contents(directory: Path) -> dict[str, str]:
    """Digest of every file, by its path below the directory."""
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def light_curve(connection: sqlite3.Connection, source_id: str) -> tuple[Any, Any]:
    rows = connection.execute(
        "SELECT flux_jy, flux_err_jy FROM photometry WHERE source_id = ? ORDER BY mjd", (source_id,)
    ).fetchall()
    return tuple(np.array(rows).T)


def eta(flux: Any, error: Any) -> float:
    mean = np.sum(flux / error**2) / np.sum(error**-2)
    return float(np.sum(((flux - mean) / error) ** 2) / (len(flux) - 1))


def test_the_same_directory_gets_the_same_bytes(demo: Demo) -> None:
    before = contents(demo.directory)
    build_demo(demo.directory)
    assert contents(demo.directory) == before


def test_another_directory_gets_the_same_images_and_catalogue(demo: Demo, tmp_path: Path) -> None:
    other = contents(build_demo(tmp_path / "other").directory)
    paths_differ = ("state/",)
    assert {name: digest for name, digest in other.items() if not name.startswith(paths_differ)} == {
        name: digest for name, digest in contents(demo.directory).items() if not name.startswith(paths_differ)
    }


def test_everything_was_registered(demo: Demo, products: sqlite3.Connection) -> None:
    assert demo.counts == {"measurement_sets": 36, "images": 36, "photometry": 600, "caltables": 36}
    for (path,) in products.execute("SELECT path FROM images UNION ALL SELECT path FROM ms_index"):
        assert Path(path).exists()
    assert products.execute("SELECT count(DISTINCT source_id) FROM photometry").fetchone() == (60,)
    orphans = "SELECT count(*) FROM photometry WHERE image_path NOT IN (SELECT path FROM images)"
    assert products.execute(orphans).fetchone() == (0,)
    strays = "SELECT count(*) FROM images WHERE ms_path NOT IN (SELECT path FROM ms_index)"
    assert products.execute(strays).fetchone() == (0,)


def test_every_grade_and_every_job_state_occurs(products: sqlite3.Connection) -> None:
    sets = products.execute("SELECT status, stage, processed_at FROM ms_index").fetchall()
    assert {grade_of_stage(stage) for _status, stage, _at in sets} == {"good", "warn", "fail"}
    states = {"pending", "running", "completed", "failed"}
    assert {job_status(None, *row) for row in sets} == states
    reruns = products.execute("SELECT status FROM jobs WHERE type = 'pipeline_rerun'").fetchall()
    assert {job_status(status, None, None, None) for (status,) in reruns} == states
    assert products.execute("SELECT count(DISTINCT overall_quality) FROM calibration_qa").fetchone()[0] >= 3


def test_the_odd_cases_of_life_are_there(products: sqlite3.Connection) -> None:
    origin = "SELECT count(*) FROM ms_index WHERE pointing_ra_deg = 0 AND pointing_dec_deg = 0 AND ra_deg = 12"
    assert products.execute(origin).fetchone() == (1,)
    assert products.execute("SELECT count(*) FROM ms_index WHERE instr(path, '%') > 0").fetchone() == (1,)
    assert products.execute("SELECT count(*) FROM photometry WHERE source_id = ?", (AWKWARD_ID,)).fetchone() == (10,)
    assert all(character in AWKWARD_ID for character in " +%β")
    around_zero = "SELECT min(ra_deg), max(ra_deg) FROM photometry WHERE dec_deg BETWEEN 15 AND 17"
    low, high = products.execute(around_zero).fetchone()
    assert low < 1.0 < 359.0 < high
    assert products.execute("SELECT count(*) FROM images WHERE center_ra_deg = 0.0").fetchone()[0] >= 10


def test_images_differ_in_kind_and_in_number_of_axes(demo: Demo, products: sqlite3.Connection) -> None:
    kinds = {kind for (kind,) in products.execute("SELECT DISTINCT type FROM images")}
    assert kinds == {"image", "pbcor", "residual", "dirty", "psf", "mosaic"}
    axes = {fits.getheader(path)["NAXIS"] for path in (demo.directory / "images").glob("*.img-image.fits")}
    assert axes == {2, 3, 4}
    assert products.execute("SELECT count(*) FROM images WHERE format = 'casa'").fetchone() == (1,)


def test_the_measured_noise_and_beam_are_those_that_were_put_in(products: sqlite3.Connection) -> None:
    rows = products.execute(
        "SELECT noise_jy, beam_major_arcsec, beam_minor_arcsec FROM images WHERE type = 'image' AND format = 'fits'"
    ).fetchall()
    noise, major, minor = np.array(rows).T
    assert 0.0005 < noise.min() < noise.max() < 0.0007
    assert np.allclose(major, 14.2, atol=0.3)
    assert np.allclose(minor, 11.6, atol=0.3)


def test_the_planted_sources_vary_and_the_steady_ones_do_not(products: sqlite3.Connection) -> None:
    field = sources_of(FIELDS[0])
    curves = [light_curve(products, source.source_id) for source in field]
    etas = [eta(*curve) for curve in curves]
    planted = {index for index, source in enumerate(field) if len({source.flux_jy(epoch) for epoch in (-4, 0, 3)}) > 1}
    assert planted == {3, 12}
    assert {index for index, value in enumerate(etas) if value > 10.0} == planted
    transient = curves[12][0]
    assert abs(transient[:5]).max() < 0.004
    assert transient[5] == pytest.approx(0.06, rel=0.1)


def test_fluxes_are_measured_within_their_errors(products: sqlite3.Connection) -> None:
    pulls = []
    for observation in observations():
        for source in sources_of(observation.field):
            row = products.execute(
                "SELECT peak_jyb, peak_err_jyb FROM photometry WHERE source_id = ? AND abs(mjd - ?) < 1e-6",
                (source.source_id, observation.mid_mjd),
            ).fetchone()
            pulls.append((row[0] - source.flux_jy(observation.epoch)) / row[1])
    assert abs(np.mean(pulls)) < 0.2
    assert np.std(pulls) == pytest.approx(1.0, abs=0.15)


def test_if_missing_leaves_a_complete_demo_alone(demo: Demo) -> None:
    before = {path: path.stat().st_mtime_ns for path in demo.directory.rglob("*")}
    again = build_demo(demo.directory, if_missing=True)
    assert (again.built, again.counts) == (False, demo.counts)
    after = {path: path.stat().st_mtime_ns for path in demo.directory.rglob("*")}
    assert {path for path in before if before[path] != after[path]} <= {demo.directory / build.LOCK}


def test_an_interrupted_build_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "paint", killed)
    with pytest.raises(KeyboardInterrupt):
        build_demo(tmp_path)
    assert (tmp_path / "images").exists()
    monkeypatch.setattr(build, "_build", lambda directory, say: {"left over": (directory / "images").exists()})
    again = build_demo(tmp_path, if_missing=True)
    assert (again.built, again.counts) == (True, {"left over": False})


@pytest.mark.parametrize("marker", ['{"version": 0, "counts": {}}', "half a mar", "[]"])
def test_a_demo_of_another_version_is_rebuilt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, marker: str) -> None:
    monkeypatch.setattr(build, "_build", lambda directory, say: {"images": 1})
    (tmp_path / build.MARKER).write_text(marker)
    assert build_demo(tmp_path, if_missing=True).built


def test_files_of_another_hand_are_never_removed(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "mine.fits").touch()
    with pytest.raises(DemoRefused, match="images"):
        build_demo(tmp_path)
    assert (tmp_path / "images" / "mine.fits").exists()
    shutil.rmtree(tmp_path / "images")


@pytest.mark.parametrize(
    ("place", "reason"),
    [("file", "File exists"), ("file/demo", "Not a directory"), ("locked", "Is a directory"), ("x" * 300, "too long")],
)
def test_place_where_no_demo_can_be_built_is_refused_in_a_sentence(tmp_path: Path, place: str, reason: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "locked" / build.LOCK).mkdir(parents=True)
    with pytest.raises(DemoRefused, match=rf"cannot be built in .*{reason}\.$"):
        build_demo(tmp_path / place)


def test_the_service_answers_on_the_demo(demo: Demo) -> None:
    app = create_app(Settings.from_environment({"DSA110_ENV": "testing", **demo.environment}))
    client = app.test_client()
    images = client.get("/api/v1/images?limit=1000").get_json()
    assert len(images) == 37
    ids = {image["path"].rsplit("/", 1)[-1]: image["id"] for image in images}
    download = client.get(f"/api/v1/images/{ids['2025-10-31T13:49:06.img-image.fits']}/fits")
    assert download.data.startswith(b"SIMPLE")
    download.close()


def test_the_command_prints_the_environment(demo: Demo) -> None:
    result = CliRunner().invoke(main, ["demo", str(demo.directory), "--if-missing"])
    assert result.exit_code == 0
    assert "complete already" in result.output
    assert f"export PIPELINE_PRODUCTS_DB={demo.directory}/state/products.sqlite3" in result.output


@pytest.mark.parametrize(
    ("ra_deg", "dec_deg", "name"),
    [
        (180.060461, 37.213442, "J120014.5+371248"),
        (0.0, -0.5, "J000000.0-003000"),
        (359.9999, 16.1, "J235959.9+160600"),
    ],
)
def test_sources_are_named_by_cut_positions(ra_deg: float, dec_deg: float, name: str) -> None:
    assert iau_name(ra_deg, dec_deg) == name
