"""The Virtual Observatory as pyvo sees it, against a real gunicorn over the demo survey."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator

import pytest
import pyvo
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from pyvo.dal import DALOverflowWarning, DALQueryError, SCSService
from pyvo.dal.adhoc import DatalinkService, SodaQuery
from pyvo.dal.sia2 import SIA2Service

from app.domain.vo import PUBLISHER
from app.services.demo.build import build_demo
from app.services.demo.survey import FIELDS, sources_of
from tests.support.guides import ROOT, blocks
from tests.support.server import Server

pytestmark = pytest.mark.live

FIELD = FIELDS[0]
BRIGHTEST = sources_of(FIELD)[0]
CENTRE = SkyCoord(FIELD.ra_deg, FIELD.dec_deg, unit="deg")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("vo")
    survey = build_demo(directory / "survey")
    with Server(directory / "server", None, **survey.environment, DSA110_WORKERS="1") as server:
        yield server


@pytest.fixture
def cone(demo: Server) -> SCSService:
    return SCSService(f"{demo.base}/vo/scs/sources")


@pytest.fixture
def images(demo: Server) -> SIA2Service:
    return SIA2Service(f"{demo.base}/vo/sia2")


def test_cone_search_gives_position_and_name(cone: SCSService) -> None:
    place = SkyCoord(BRIGHTEST.ra_deg, BRIGHTEST.dec_deg, unit="deg")
    (found,) = cone.search(place, radius=10 * u.arcsec)
    assert found.id == BRIGHTEST.source_id
    assert found.pos.separation(place) < 2 * u.arcsec
    assert {"v", "eta", "mean_flux_jy"} <= set(found)


def test_cone_search_gives_few_or_all_columns(cone: SCSService) -> None:
    least, most = (cone.search(CENTRE, radius=0.1, verbosity=verbosity) for verbosity in (1, 3))
    assert len(least) == len(most) > 1
    assert len(least.fieldnames) == 3 < len(most.fieldnames)
    assert most.to_table()["mean_flux_jy"].unit == u.Jy


def test_error_of_a_cone_search_is_raised_with_its_reason(cone: SCSService) -> None:
    with pytest.raises(DALQueryError, match=r"SR: .*180"):
        cone.search(CENTRE, radius=181)


def test_service_is_found_from_its_capabilities(images: SIA2Service, demo: Server) -> None:
    assert images.query_ep == f"{demo.base}/vo/sia2/query"
    assert SIA2Service(images.query_ep).query_ep == images.query_ep


def test_images_are_found_by_position_time_and_band(images: SIA2Service) -> None:
    found = images.search(pos=(CENTRE.ra, CENTRE.dec, 0.01 * u.deg))
    assert len(found) > 1
    assert {record.target_name for record in found} == {FIELD.name}
    first = min(found, key=lambda record: record["t_min"])
    (again,) = (
        record
        for record in images.search(time=(first.t_min, first.t_max), band=(1.3 * u.GHz, 1.5 * u.GHz))
        if record["obs_publisher_did"] == first.obs_publisher_did
    )
    assert again.s_ra.to_value(u.deg) == pytest.approx(FIELD.ra_deg)
    assert len(images.search(band=(90 * u.GHz, 100 * u.GHz))) == 0


@pytest.mark.parametrize("pos", [(179, 181, 36, 38), (179, 36, 181, 36, 181, 38, 179, 38)], ids=["range", "polygon"])
def test_images_are_found_by_other_shapes(images: SIA2Service, pos: tuple[float, ...]) -> None:
    assert {record.target_name for record in images.search(pos=pos)} == {FIELD.name}


def test_overflow_is_told_and_warned_of(images: SIA2Service, demo: Server) -> None:
    # pyvo does not warn where there are as many rows as were asked for.
    limited = images.search(maxrec=3)
    assert (len(limited), limited.status[0]) == (3, "OVERFLOW")
    assert images.search().status[0] == "OK"
    with pytest.warns(DALOverflowWarning):
        DatalinkService(f"{demo.base}/vo/datalink").search(f"{PUBLISHER}?image/20", MAXREC=2)


def test_error_of_an_image_search_is_raised_with_its_reason(images: SIA2Service) -> None:
    with pytest.raises(DALQueryError, match="UsageFault: RESPONSEFORMAT"):
        images.search(RESPONSEFORMAT="image/jpeg")


def test_file_of_an_image_is_where_the_record_says(images: SIA2Service) -> None:
    record = images.search(pos=(CENTRE.ra, CENTRE.dec, 0.01 * u.deg), maxrec=100)[0]
    with fits.open(io.BytesIO(pyvo.utils.http.use_session(None).get(record.getdataurl()).content)) as hdus:
        assert hdus[0].header["OBJECT"] == FIELD.name


def test_links_of_a_record_lead_to_a_cut_out_with_coordinates_and_beam(images: SIA2Service) -> None:
    record = images.search(pos=(CENTRE.ra, CENTRE.dec, 0.01 * u.deg))[0]
    links = record.getdatalink()
    assert {"#this", "#preview", "#cutout", "#progenitor"} <= {link.semantics for link in links}
    (cutout,) = links.bysemantics("#cutout", include_narrower=False)
    place = (BRIGHTEST.ra_deg, BRIGHTEST.dec_deg)
    stream = cutout.processed(circle=(*place, 60 / 3600) * u.deg)
    with fits.open(io.BytesIO(stream.read())) as hdus:
        header = hdus[0].header
        assert header["NAXIS1"] == header["NAXIS2"] == 30
        assert header["BMAJ"] > 0
        x, y = WCS(header).celestial.world_to_pixel(SkyCoord(*place, unit="deg"))
        assert abs(x - 14.5) < 1.5
        assert abs(y - 14.5) < 1.5


def test_links_of_many_records_are_asked_for_at_once(images: SIA2Service) -> None:
    found = images.search(pos=(CENTRE.ra, CENTRE.dec, 0.01 * u.deg))
    asked = sorted(record["obs_publisher_did"] for record in found)
    linked = list(found.iter_datalinks())
    assert sorted({link["ID"] for links in linked for link in links}) == asked
    assert len(linked) == len(asked)


def test_unknown_dataset_has_a_link_that_says_so(demo: Server) -> None:
    (link,) = DatalinkService(f"{demo.base}/vo/datalink").search(f"{PUBLISHER}?image/99999")
    assert link.error_message.startswith("NotFoundFault")


def test_region_outside_of_an_image_has_no_content(demo: Server) -> None:
    query = SodaQuery(f"{demo.base}/vo/soda/sync", id=f"{PUBLISHER}?image/20", circle=(1.0, -40.0, 0.1) * u.deg)
    response = query.submit()
    assert (response.status_code, response.content) == (204, b"")


def test_capabilities_and_tables_are_read_without_complaint(demo: Server) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for path, read in (
            ("capabilities", pyvo.io.vosi.parse_capabilities),
            ("availability", pyvo.io.vosi.parse_availability),
            ("tables", pyvo.io.vosi.parse_tables),
        ):
            document = read(io.BytesIO(demo.get(f"/vo/{path}").body), pedantic=True)
            assert document is not None


def test_python_of_the_guide_runs(demo: Server, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = blocks(ROOT / "docs" / "vo.md", "python")
    exec(code.replace("http://localhost:8000", demo.base), {})
    assert "(36, 36)" in capsys.readouterr().out
