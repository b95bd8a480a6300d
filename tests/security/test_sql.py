"""No parameter, no part of an address and no body becomes SQL, or a pattern of SQL.

Beside these: forged cursors (tests/contract/test_walk.py), whatever the document allows (test_schemathesis.py there).
"""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from itertools import cycle
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from app.domain.errors import ContimgError
from tests.security import surface
from tests.security.attempts import ATTEMPTS, attack, control
from tests.security.conftest import KEY, Survey

INJECTIONS = (
    "' OR '1'='1",
    '" OR "1"="1',
    "x' UNION SELECT path FROM images --",
    "1); DROP TABLE images; --",
    "x') OR 1=1 OR ('",
    ":c0",
    "S1'||'",
    "\\' OR 1=1 --",
)
# What is known must not be among what an injection finds.
KNOWN = ("/stage/img/000001.fits", '"S1"', "2025-10-31T13:00:01.ms")
# Parameters that choose no rows.
OTHER_THAN_CONDITIONS = {"limit", "offset", "count", "format", "flux_type"}


def content(survey: Survey) -> str:
    """A hash of everything that the databases hold, their schema too."""
    digest = hashlib.sha256()
    for path in (survey.pipeline.products_path, survey.pipeline.registry_path):
        with closing(sqlite3.connect(path)) as connection:
            for line in connection.iterdump():
                digest.update(line.encode())
    return digest.hexdigest()


@attack(
    "SQL in every parameter, and in its name",
    "refused, or finds nothing; the databases are the same byte for byte of a dump",
)
def test_no_parameter_is_sql(survey: Survey) -> None:
    client, before, refused = survey.client, content(survey), 0
    # Two for each, which are others for the next.
    turns = cycle([INJECTIONS[n : n + 2] for n in range(0, len(INJECTIONS), 2)])
    for (operation, name), injections in zip(surface.parameters(surface.reads(survey.app)), turns, strict=False):
        for injection in injections:
            with surface.ask(client, operation.asked(**{name: injection})) as answer:
                assert answer.status_code < 500, (operation, name, injection, answer.data[:500])
                refused += answer.status_code in {400, 404, 422}
                if answer.status_code == 200 and answer.is_json and name not in OTHER_THAN_CONDITIONS:
                    assert answer.get_json() == [], (operation, name, injection)
        # The name of a parameter may be one as well.
        with surface.ask(client, operation.asked(**{f"{name}{injections[0]}": "1"})) as answer:
            assert answer.status_code < 500, (operation, name, injections)
    assert refused > 300, "numbers and words are refused before anything is looked up"
    assert content(survey) == before


@attack("SQL in every part of an address", "finds nothing; the databases are the same")
def test_no_part_of_an_address_is_sql(survey: Survey) -> None:
    client, before = survey.client, content(survey)
    for operation in surface.operations(survey.app) + surface.others(survey.app):
        for part in operation.parts:
            for injection in INJECTIONS:
                for known in (surface.KNOWN[part], ""):
                    target = operation.at(**{part: quote(known + injection, safe="")})
                    with surface.ask(client, target, operation.method) as answer:
                        assert answer.status_code < 500, target
                        if answer.status_code == 200:  # an error may repeat what was asked for
                            assert not any(name.encode() in answer.data for name in KNOWN), (target, answer.data[:500])
    assert content(survey) == before


@attack(
    "SQL in every member of every body, as text, list and object",
    "refused, or finds nothing; the databases are the same",
)
def test_no_member_of_a_body_is_sql(survey: Survey) -> None:
    client, before = survey.client, content(survey)
    for operation in [each for each in surface.operations(survey.app) if each.body]:
        for name in operation.body:
            for injection in INJECTIONS:
                for value in (injection, [injection], [[injection]], {injection: injection}):
                    with client.open(
                        operation.at(), method=operation.method, json={name: value}, headers={"X-API-Key": KEY}
                    ) as answer:
                        assert answer.status_code < 500, (operation, name, value, answer.data[:500])
                        assert b'"S1"' not in answer.data
    assert content(survey) == before


@attack("wildcards of LIKE and GLOB", "letters like others")
@pytest.mark.parametrize("wildcard", ["%", "_", "S_", "S%", "*", "S?", "[S]1", "S1%00", "%%", "\\%"])
def test_wildcards_are_letters(survey: Survey, wildcard: str) -> None:
    for query in ({"id": wildcard}, {"prefix_id": wildcard}, {"name": wildcard, "radius_deg": "1"}):
        answer = surface.ask(survey.client, f"/api/v1/sources?{urlencode(query)}")
        assert answer.status_code in {200, 404}, answer.text
        assert answer.status_code == 404 or answer.get_json() == [], query
    assert surface.ask(survey.client, f"/api/v1/sources/{quote(wildcard, safe='')}").status_code == 404
    run = quote(f"job-2025-10-31-13000{wildcard}", safe="")
    assert surface.ask(survey.client, f"/api/v1/jobs/{run}").status_code == 404
    exported = surface.ask(survey.client, f"/api/v1/sources/export?{urlencode({'ids': wildcard})}")
    assert exported.status_code == 404


@control
def test_beginning_of_a_name_finds_it(survey: Survey) -> None:
    """Else the test above would be content with a filter that finds nothing."""
    assert len(surface.ask(survey.client, "/api/v1/sources?prefix_id=S").get_json()) == 2
    assert len(surface.ask(survey.client, "/api/v1/sources?id=S1").get_json()) == 1


COLUMNS = (
    "path; DROP TABLE images", "(SELECT sql FROM sqlite_master)", "path COLLATE NOCASE", "rowid", "*", "1", "path--",
    "images.path", '"path"', "random()", "path ASC", "-path, (SELECT 1)", "v_image.path", "path\0",
    "ＰATH", "load_extension('x')",
)  # fmt: skip


def lists(survey: Survey) -> list[surface.Operation]:
    return [each for each in surface.reads(survey.app) if {"sort", "fields"} <= set(each.query)]


@attack("expressions to sort by and to show", "400 or 422")
@pytest.mark.parametrize("column", COLUMNS)
def test_only_published_columns_are_sorted_by_or_shown(survey: Survey, column: str) -> None:
    found = lists(survey)
    assert len(found) >= 6
    for operation in found:
        for name in ("sort", "fields"):
            for value in (column, f"id,{column}", f"-{column}"):
                answer = surface.ask(survey.client, operation.asked(**{name: value}))
                assert answer.status_code in {400, 422}, (operation.path, name, value)


@attack("statements that got in after all", "cannot write, attach, export or load code")
def test_what_sqlite_could_be_made_to_do_is_out_of_reach(survey: Survey) -> None:
    """The reading connections can neither write nor load code, should a statement of somebody's get there after all."""
    database = survey.app.extensions["contimg.services"].database
    secret = survey.directory / "made.sqlite3"
    statements: list[tuple[str, dict[str, Any]]] = [
        ("DELETE FROM images", {}),
        ("SELECT load_extension('x')", {}),
        (f"ATTACH DATABASE '{secret}' AS made", {}),
        ("CREATE TABLE made (x)", {}),
        (f"VACUUM INTO '{secret}'", {}),
    ]
    for sql, params in statements:
        with ATTEMPTS.one(ContimgError):  # some are refused, some do nothing
            database.rows(sql, params)
    assert not secret.exists()
    assert len(surface.ask(survey.client, "/api/v1/images").get_json()) == 2
