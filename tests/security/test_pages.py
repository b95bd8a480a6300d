"""Names in the databases and in addresses do nothing in a page, a picture, a spreadsheet or on another machine.

Beside these: what a page loads (tests/console/test_console_pages.py), cells of CSV (tests/unit/test_tables_csv.py).
"""

from __future__ import annotations

import csv
import io
import re
import socket
import sqlite3
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

import pytest

from app.console.render import STATIC
from tests.security import surface
from tests.security.attempts import ATTEMPTS, attack
from tests.security.conftest import KEY, Build, Survey

HOSTILE = (
    'x\'"><xss onxss=1 style="a" href=javascript:xss()><script>xss()</script>'
    "{{7*191}}{%xss%}${7*191}&lt;xss&gt;]]>--><!--"
)
LINKS = frozenset({"href", "src", "action", "srcset", "formaction"})
SCHEMES = re.compile(r"(?i)\s*(javascript|data|vbscript|file|https?):")
KINDS = ("text/html", "image/svg+xml", "text/xml", "application/xml", "application/x-votable+xml")


@pytest.fixture(scope="module")
def hostile(build: Build) -> Survey:
    """A survey whose every text is hostile, as far as no other name hangs on it."""
    made = build()
    texts = {made.pipeline.products_path: [], made.pipeline.registry_path: []}  # type: ignore[var-annotated]
    for path, statements in texts.items():
        with closing(sqlite3.connect(path)) as connection:
            for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                for _, column, kind, *_ in connection.execute(f"PRAGMA table_info({table})").fetchall():
                    if kind == "TEXT" and column not in {"params", "table_type", "stage"}:
                        statements.append(f"UPDATE OR IGNORE {table} SET {column} = ifnull({column}, '') || :evil")
            statements.append("SELECT :evil")
            for statement in statements:
                connection.execute(statement, {"evil": HOSTILE})
            connection.commit()
    assert sum(map(len, texts.values())) > 30
    return made


class Elements(HTMLParser):
    """Every element with its attributes, and all text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data


def assert_harmless(text: str, kind: str, about: object) -> None:
    if kind == "text/html":
        for tag, attributes in Elements(text).found:
            assert tag not in {"xss", "style", "object", "embed", "iframe", "base"}, about
            does = [name for name in attributes if name.startswith("on") or name == "style"]
            assert not does, (about, tag, attributes)
            targets = [value for name, value in attributes.items() if name in LINKS]
            assert not list(filter(SCHEMES.match, targets)), (about, attributes)
            assert tag != "script" or attributes["src"].startswith("/console/static/"), about
    else:
        for element in ElementTree.fromstring(text).iter():
            assert not str(element.tag).endswith("xss"), about
            assert not str(element.tag).lower().endswith(("script", "foreignobject")), about
            assert not [name for name in element.attrib if "onxss" in name], about
    without_ids = re.sub(r"[0-9a-f]{32}", "", text).replace("#1337", "")  # which hold any digits at all
    assert "1337" not in without_ids, "what looked like a template was one"


def known(survey: Survey) -> dict[str, list[str]]:
    """What the parts of addresses may name in the hostile survey."""
    client = survey.client
    runs = [row["run_id"] for row in surface.ask(client, "/api/v1/jobs").get_json()]
    tables = [row["path"] for row in surface.ask(client, "/api/v1/cal").get_json()]
    return {
        "image_id": ["1"], "batch_id": ["1"], "run_id": runs[:2],
        "source_id": [row["id"] for row in surface.ask(client, "/api/v1/sources").get_json()][:1],
        "path": [row["path"] for row in surface.ask(client, "/api/v1/ms").get_json()][:1] + tables[:1],
        "format": ["svg"],
    }  # fmt: skip


@attack("names as HTML, SVG, XML, templates, in every text column", "shown, and do nothing")
def test_no_name_in_the_databases_does_anything_in_a_page_or_a_picture(hostile: Survey) -> None:
    parts, seen, shown = known(hostile), 0, 0
    for operation in surface.reads(hostile.app):
        for n in range(max([1, *(len(parts.get(part, [])) for part in operation.parts)])):
            named = {
                part: quote(parts[part][n % len(parts[part])], safe="") for part in operation.parts if parts.get(part)
            }
            for query in (
                "",
                "?view=grid",
                "?format=votable",
                "?RA=180&DEC=37&SR=10",
                "?POS=CIRCLE 180 37 10",
                "?ID=1",
            ):
                with surface.ask(hostile.client, operation.at(**named) + query) as answer:
                    assert answer.status_code < 500, (operation, named)
                    assert "<xss" not in answer.text if answer.mimetype in KINDS else answer.mimetype != "", operation
                    if answer.mimetype in KINDS and not operation.path.startswith("/api/docs"):
                        seen += 1
                        shown += "xss" in answer.text
                        assert_harmless(answer.text, answer.mimetype, (operation.path, named, query))
    assert seen > 60
    assert shown > 30, "the names are there"


@attack("the same in parts and parameters of addresses", "shown, and do nothing")
def test_nothing_of_an_address_does_anything_in_a_page(survey: Survey) -> None:
    pages = [
        operation for operation in surface.others(survey.app) if operation.path.startswith(("/console", "/vo", "/"))
    ]
    names = {"sort", "fields", "name", "id", "field_name", "view", "cursor", "radius_deg", "min_noise_mjy", "stretch",
             "cmap",
             "flux_type", "n_sigma", "qa_grade", HOSTILE}  # fmt: skip
    for operation in pages:
        shown = names if operation.path.startswith("/console") and not operation.parts else {"x"}
        addresses = [operation.asked(**{name: HOSTILE}) for name in (*shown, *operation.query)]
        addresses += [operation.at(**{part: quote(HOSTILE, safe="")}) for part in operation.parts]
        for address in addresses:
            with surface.ask(survey.client, address) as answer:
                assert answer.status_code < 500, address
                if answer.mimetype in KINDS and not address.startswith("/api/docs"):
                    assert_harmless(answer.text, answer.mimetype, address)


@attack("frames, scripts and styles of others", "the policy of every answer forbids them")
def test_no_page_may_be_framed_or_run_what_is_not_ours(survey: Survey) -> None:
    for operation in surface.reads(survey.app):
        with surface.ask(survey.client, operation.at()) as answer:
            policy = answer.headers.get("Content-Security-Policy", "")
            if answer.status_code == 307:  # has no page, and nobody's scripts
                continue
            assert answer.headers["X-Frame-Options"] == "DENY", operation
            assert answer.headers["X-Content-Type-Options"] == "nosniff", operation
            assert "default-src 'none'" in policy, operation
            assert "frame-ancestors 'none'" in policy
            if "sandbox" not in policy:  # as pictures are, which bring styles of their own
                assert "base-uri 'none'" in policy
                assert "unsafe" not in policy or operation.path.startswith("/api/docs")
            if answer.mimetype == "text/html" and answer.status_code != 302 and "docs" not in operation.path:
                assert "form-action 'self'" in policy or "form-action 'none'" in policy


@attack("ways in which a script makes code of a text, looked for in each of ours", "none is in it")
def test_script_of_the_pages_makes_no_code_of_text() -> None:
    scripts = list(Path(STATIC).glob("*.js"))
    assert len(scripts) >= 2
    for script in scripts:
        text = script.read_text()
        for sink in (r"innerHTML", r"outerHTML\s*=[^=]", r"insertAdjacentHTML", r"document\.write", r"\beval\(",
                     r"new Function",
                     r"setTimeout\(\s*['\"`]", r"srcdoc", r"document\.cookie", r"localStorage",
                     r"postMessage"):  # fmt: skip
            assert not re.search(sink, text), (script.name, sink)
            ATTEMPTS.refused()


# -- spreadsheets

FORMULAS = [
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1+1",
    "\r=1+1",
    '=HYPERLINK("http://evil","x")',
    "=cmd|' /C calc'!A0",
]


@attack("formulas in every table that is CSV", "an apostrophe in front")
def test_no_cell_of_any_table_is_a_formula(build: Build) -> None:
    survey = build()
    for n, formula in enumerate(FORMULAS):
        name = formula.replace("/", "|")
        ms = survey.pipeline.make_ms(name, stage=formula, status=formula, field_name=formula)
        number = survey.pipeline.make_image(path=f"{name}.fits", ms_path=ms, type=formula, field_name=formula)
        for epoch in range(2):
            survey.pipeline.make_photometry(source_id=name, image_path=f"{name}.fits", mjd=60000.0 + n + epoch)
        survey.pipeline.make_caltable(path=f"{name}.cal", notes=formula, set_name=formula)
        survey.pipeline.make_job(run_id=name, ms_path=ms, status=formula)
        assert number
    sources = [row["id"] for row in surface.ask(survey.client, "/api/v1/sources").get_json()]
    images = [row["id"] for row in surface.ask(survey.client, "/api/v1/images").get_json()]
    addresses = [
        f"{operation.at()}?format=csv" for operation in surface.reads(survey.app) if "format" in operation.query
    ] + [
        f"/api/v1/sources/export?{urlencode({'ids': ','.join(s for s in sources if ',' not in s)})}",
        f"/api/v1/images/bulk-download?format=csv&ids={','.join(images)}",
        f"/api/v1/jobs/export?{urlencode({'ids': ','.join(FORMULAS[:5])})}",
        *(f"/api/v1/sources/{quote(source, safe='')}/export" for source in sources),
        *(f"/api/v1/sources/{quote(source, safe='')}/lightcurve?format=csv" for source in sources),
    ]  # fmt: skip
    cells = 0
    for address in addresses:
        with surface.ask(survey.client, address) as answer:
            if answer.mimetype != "text/csv":
                continue
            for row in csv.reader(io.StringIO(answer.text, newline="")):
                for cell in row:
                    cells += 1
                    assert not re.match(r"[=+@\t\r]|-(?!\d*\.?\d*(e[-+]?\d+)?\Z|inf)", cell), (address, cell)
    assert cells > 500
    exported = surface.ask(
        survey.client, "/api/v1/sources/" + quote(FORMULAS[6].replace("/", "|"), safe="") + "/export"
    ).text
    assert next(csv.DictReader(io.StringIO(exported)))["id"] == "'" + FORMULAS[6].replace("/", "|"), (
        "quotes as they are"
    )


# -- other machines


@attack("addresses of other machines in every parameter, part and body", "nothing is looked up or connected to")
def test_no_parameter_makes_this_service_call_another(survey: Survey, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is looked up and nothing is connected to, whatever address is named."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        called: list[Any] = []
        asked = socket.socket.connect
        monkeypatch.setattr(socket, "getaddrinfo", lambda *to, **_: called.append(to) or [])
        monkeypatch.setattr(socket.socket, "connect", lambda own, to: called.append(to) or asked(own, to))
        addresses = [f"http://127.0.0.1:{port}/x", f"//127.0.0.1:{port}/x", f"gopher://127.0.0.1:{port}/_x"]
        client = survey.client
        headers = {
            "X-API-Key": KEY,
            "Referer": addresses[0],
            "Origin": addresses[0],
            "X-Forwarded-Host": f"127.0.0.1:{port}",
        }
        for operation, name in surface.parameters(surface.reads(survey.app)):
            surface.ask(client, operation.asked(**{name: addresses[len(name) % 3]}), headers=headers).close()
        for operation in surface.operations(survey.app) + surface.others(survey.app):
            if "/services/status" not in operation.path and not operation.path.endswith(("/metrics", "/readyz")):
                for part in operation.parts:
                    surface.ask(client, operation.at(**{part: quote(addresses[0], safe="")}), operation.method).close()
                for name in operation.body:
                    client.open(
                        operation.at(), method=operation.method, json={name: [addresses[0]]}, headers=headers
                    ).close()
        monkeypatch.undo()
        listener.settimeout(0)
        assert called == []
        with pytest.raises(BlockingIOError):
            listener.accept()


@attack("ports of others, in every spelling, to the services monitor", "refused; nobody is asked")
def test_only_ports_that_are_monitored_are_asked(survey: Survey) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        for way in (port, f"%20{port}", f"{port}%2F", f"{port}@127.0.0.1", f"127.0.0.1:{port}", f"+{port}", f"0{port}"):
            assert surface.ask(survey.client, f"/api/v1/services/status/{way}").status_code in {307, 404, 422}
        listener.settimeout(0)
        with pytest.raises(BlockingIOError):
            listener.accept()
