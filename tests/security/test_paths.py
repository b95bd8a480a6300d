"""No path, from a request or from a database, leads to a file that is not to be read.

Beside these: links and folders in measurement sets (tests/api/test_downloads.py), pipes, folders and databases named by
images (tests/api/test_fits_files.py), files of a client that is served (tests/api/test_site.py).
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.security import surface
from tests.security.attempts import attack, control
from tests.security.conftest import KEY, TREASURE, Build, Survey

FITS_HEAD = b"SIMPLE  =                    T".ljust(80) + b"END".ljust(2800)


def ways_to(secret: Path) -> list[str]:
    """Ways to write a path in a URL, which a careless reader would follow to the file."""
    steps = [
        "../secret",
        "../../secret",
        "../../../../../../../../.." + str(secret),
        str(secret),
        "./../data/../secret",
    ]
    plain = [quote(step, safe="") for step in steps]
    return [
        *plain,
        *steps,
        *(quote(step, safe="") for step in plain),  # encoded twice
        "..%5csecret",
        "%2e%2e/secret",
        "..%c0%afsecret",  # a slash in two bytes, which UTF-8 forbids
        "%c0%ae%c0%ae%c0%afsecret",
        "%ef%bc%8e%ef%bc%8e%ef%bc%8fsecret",  # full-width letters, which a normalisation would narrow
        "..%00/secret",
        quote(str(secret), safe="") + "%00.fits",
        "%00",
        "..",
        ".",
        "%2f%2f" + quote(str(secret), safe=""),
        "file:" + quote(f"//{secret}", safe=""),
        "%2fproc%2fself%2fenviron",
        "%2fproc%2fself%2froot" + quote(str(secret), safe=""),
        "~root",
        "a" * 4000,
        "%ed%a0%80",  # half a surrogate
    ]


@attack(
    "paths in every part of an address: steps up, absolute, `/proc`, NUL, encoded twice, overlong UTF-8, full-width",
    "no such record; no file outside is read",
)
def test_no_part_of_an_address_leads_to_a_file(survey: Survey) -> None:
    client, asked, turn = survey.client, 0, False
    ways = ways_to(survey.directory / "secret")
    for operation in surface.operations(survey.app) + surface.others(survey.app):
        for part in operation.parts:
            # Every second way, those in between for the next.
            turn = not turn
            for way in ways[turn::2]:
                with surface.ask(client, operation.at(**{part: way}), operation.method) as answer:
                    asked += 1
                    assert answer.status_code < 500, (operation, way)
                    assert TREASURE not in answer.data, (operation, way)
                    assert b"PATH=" not in answer.data
    assert asked > 700, "there is much to attack"


@attack("paths in every parameter", "refused, or finds nothing; no file outside is read")
def test_no_parameter_leads_to_a_file(survey: Survey) -> None:
    client = survey.client
    secret = survey.directory / "secret"
    for operation, name in surface.parameters(surface.reads(survey.app)):
        for value in (f"../secret/../../{secret}", f"file://{secret}\0.fits"):
            with surface.ask(client, operation.asked(**{name: value})) as answer:
                assert answer.status_code < 500, (operation, name, value)
                assert TREASURE not in answer.data, (operation, name, value)


@pytest.fixture(scope="module")
def held(build: Build) -> tuple[Survey, list[int]]:
    """A survey whose databases name what is not to be read, and the numbers of those images."""
    made = build()
    secret = made.directory / "secret.fits"
    secret.write_bytes(FITS_HEAD + TREASURE.ljust(2880))
    data = made.data
    (data / "link.fits").symlink_to(secret)
    (data / "chain.fits").symlink_to(data / "link.fits")
    (data / "folder").symlink_to(made.directory)
    (data / "itself.fits").symlink_to(data / "itself.fits")
    (data / "root").symlink_to("/proc/self/root")
    paths = [
        secret, data / "../secret.fits", data / "link.fits", data / "chain.fits", data / "folder" / "secret.fits",
        data / "itself.fits", Path(f"{data}-of-others/secret.fits"), "/proc/self/environ", "/proc/self/mem",
        f"/proc/self/root{secret}", f"{data}/root{secret}", "/proc/self/fd/0", "/dev/zero", "/dev/stdin",
        f"{data}/x.fits\0", f"{secret}\0{data}/x.fits", f"//{secret}", f"file://{secret}", "a" * 5000, "..", "/", "",
        "~/secret.fits", "secret.fits", "${HOME}/x.fits", f"|cat {secret}", made.pipeline.products_path,
    ]  # fmt: skip
    Path(f"{data}-of-others").mkdir()
    Path(f"{data}-of-others/secret.fits").write_bytes(secret.read_bytes())
    return made, [made.pipeline.make_image(path=str(path)) for path in paths]


@attack(
    "paths held by the databases: outside, links, chains and loops, `/proc/self/root`, devices, NUL, databases",
    "its file is 404, in every format",
)
def test_no_image_leads_to_a_file_outside_the_data_roots(held: tuple[Survey, list[int]]) -> None:
    survey, numbers = held
    client = survey.client
    operations = [found for found in surface.reads(survey.app) if "image_id" in found.parts]
    addresses = [operation.at(image_id="{}") for operation in operations] + [
        "/api/v1/images/bulk-download?ids={}&format=zip", "/api/v1/images/bulk-download?ids={}&format=tar",
        "/vo/soda/sync?ID={}", "/vo/datalink?ID={}",
    ]  # fmt: skip
    for number in numbers:
        for address in addresses:
            with surface.ask(client, address.format(number)) as answer:
                assert TREASURE not in answer.data, (number, address)
                assert answer.status_code < 500, (number, address, answer.data[:500])
                if address.endswith("/fits") or "bulk-download" in address:
                    assert answer.status_code == 404, (number, address)


@control
def test_good_file_among_them_is_sent(held: tuple[Survey, list[int]]) -> None:
    """Else the tests above would be content with a service that sends nothing."""
    survey, _ = held
    (survey.data / "good.fits").write_bytes(FITS_HEAD)
    number = survey.pipeline.make_image(path=str(survey.data / "good.fits"))
    for address in (f"/api/v1/images/{number}/fits", f"/api/v1/images/bulk-download?ids={number}&format=zip"):
        with surface.ask(survey.client, address) as answer:
            assert answer.status_code == 200
            assert FITS_HEAD in answer.data


@attack("logs of other names, and links that lead out", "not found")
def test_log_is_a_file_of_the_log_directories(survey: Survey) -> None:
    (survey.directory / "logs" / "job-leads-out.log").symlink_to(survey.directory / "secret.log")
    for run_id in ("../secret", "..%2fsecret", "secret", "job-leads-out", quote(str(survey.directory / "secret"), "")):
        for address in ("/api/v1/logs/{}", "/api/v1/jobs/{}/logs", "/api/v1/logs/{}/stream"):
            with surface.ask(survey.client, address.format(run_id)) as answer:
                assert TREASURE not in answer.data, (run_id, address)
    assert "a line" in surface.ask(survey.client, "/api/v1/logs/job-2025-10-31-130001").text


@attack("paths held by the databases, where nginx sends the files", "404, and no word to nginx")
def test_proxy_is_sent_to_no_file_outside_either(held: tuple[Survey, list[int]], build: Build) -> None:
    survey, numbers = held
    proxied = build(over=survey, DSA110_ACCEL_PREFIX="/internal")
    name = "a%2e%2e\r\nX-Injected: 1.fits"
    (survey.data / name).write_bytes(FITS_HEAD)
    good = survey.pipeline.make_image(path=str(survey.data / name))
    for number in numbers:
        answer = surface.ask(proxied.client, f"/api/v1/images/{number}/fits")
        assert (answer.status_code, answer.headers.get("X-Accel-Redirect")) == (404, None)
    answer = surface.ask(proxied.client, f"/api/v1/images/{good}/fits")
    assert answer.headers["X-Accel-Redirect"] == quote(f"/internal{survey.data}/{name}")


@attack("images whose file lies outside, removed with their file", "no file outside is removed")
def test_removing_an_image_removes_no_file_outside(build: Build) -> None:
    survey = build(DSA110_ALLOW_IMAGE_DELETE="true")
    outside, inside = survey.directory / "secret", survey.data / "mine.fits"
    inside.write_bytes(FITS_HEAD)
    (survey.data / "link.fits").symlink_to(outside)
    for path, removed in ((outside, False), (survey.data / "../secret", False), (survey.data / "link.fits", False),
                          (survey.pipeline.products_path, False), (inside, True)):  # fmt: skip
        number = survey.pipeline.make_image(path=str(path))
        address = f"/api/v1/images/{number}?delete_files=true"
        answer = surface.ask(survey.client, address, "DELETE", headers={"X-API-Key": KEY})
        assert answer.get_json()["file_deleted"] is removed, path
        assert os.path.exists(path) is not removed, path
