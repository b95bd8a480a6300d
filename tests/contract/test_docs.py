"""The documents tell the truth: commands run, output is real, links lead somewhere, nothing is left out."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from http.client import HTTPConnection
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import click
import pytest
from flask import Flask

from app import blueprints, create_app
from app.cli import main
from app.config import Settings
from app.db import views
from app.domain.selection import applicable
from app.services.demo.build import build_demo
from app.web.errors import STATUS
from tests.contract import column_tables
from tests.contract.snapshot import document
from tests.support.guides import (
    ROOT,
    Command,
    Outcome,
    blocks,
    commands,
    differences,
    lines_missing,
    read_trimmed,
    run,
)
from tests.support.pipeline import Pipeline
from tests.support.server import Server

README = ROOT / "README.md"
API_GUIDE = ROOT / "docs" / "api.md"
DOCUMENTS = sorted([README, ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])
# Documents whose lines are run: those with a block of sh that asks the service.
GUIDES = [path for path in DOCUMENTS if any("localhost:8000" in text for text in blocks(path, "sh"))]

# Where the guides' survey lies, so that the paths in what they show are nobody's in particular.
SHOWN_SURVEY = "/data/contimg/demo-data"
KEY = "dsa110_docs_key"

_LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_FILE = re.compile(r"`((?:app|tests|docs|migrations)/[\w./-]+)`")
_SHORT_FILE = re.compile(r"`((?:web|blueprints|schemas|services|repositories|db|domain|tasks|cli)/\w+\.py)`")
_REQUEST = re.compile(r"`(GET|POST|PUT|PATCH|DELETE) (/api/[^`?\s]+)")
_FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


class Walked(NamedTuple):
    """The guides' commands with what became of them, and the routes they reached."""

    outcomes: dict[tuple[str, int], Outcome]
    survey: Path
    requested: set[tuple[str, str]]


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Walked:
    directory = tmp_path_factory.mktemp("docs")
    demo = build_demo(directory / "survey")
    outcomes = {}
    with Server(directory / "server", None, **demo.environment, DSA110_API_KEYS=KEY) as server:
        for guide in GUIDES:
            shell = directory / guide.stem
            shell.mkdir()
            lines = [command.line for command in commands(guide)]
            host = f"127.0.0.1:{server.port}"
            for number, outcome in enumerate(run(lines, shell, {"DSA110_API_KEY": KEY}, host)):
                outcomes[guide.name, number] = outcome
        requested = set(routes_requested(server.log))
    return Walked(outcomes, demo.directory, requested)


def routes_requested(log: str) -> Iterator[tuple[str, str]]:
    for line in log.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if "route" in record:
            yield record["method"], record["route"]


@cache
def every_command() -> list[tuple[str, int, Command]]:
    return [(guide.name, number, command) for guide in GUIDES for number, command in enumerate(commands(guide))]


@pytest.fixture(scope="module")
def app() -> Flask:
    return create_app(Settings.from_environment({"DSA110_ENV": "testing"}))


@pytest.mark.live
@pytest.mark.parametrize(
    ("guide", "number", "command"), every_command(), ids=[f"{name}-{number}" for name, number, _ in every_command()]
)
def test_command_of_a_guide_does_what_is_shown(walked: Walked, guide: str, number: int, command: Command) -> None:
    outcome = walked.outcomes[guide, number]
    context = f"{command.line}\n{outcome.output[:2000]}\n{outcome.errors}"
    assert outcome.code == 0, context
    assert outcome.status in {command.status, 0}, context
    real = outcome.output.replace(str(walked.survey), SHOWN_SURVEY).replace(
        str(walked.survey).replace("/", "%2F"), SHOWN_SURVEY.replace("/", "%2F")
    )
    if command.language == "json":
        assert differences(read_trimmed(command.shown), json.loads(real)) == [], context
    elif command.language == "text":
        assert lines_missing(command.shown, real) == [], context


@pytest.mark.live
def test_every_route_is_asked_for_in_a_guide(walked: Walked, app: Flask) -> None:
    wanted = {
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1/") or rule.rule == "/metrics"
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert sorted(wanted - walked.requested) == []


def test_guides_are_found() -> None:
    assert {README, API_GUIDE} <= set(GUIDES)


def test_columns_in_the_guide_are_those_of_the_lists() -> None:
    text = column_tables.DOCUMENT.read_text()
    assert text == column_tables.brought_up_to_date(text), "run: python -m tests.contract.column_tables"


def test_every_query_parameter_is_explained_in_a_guide() -> None:
    guide = "".join(path.read_text() for path in GUIDES)
    of_columns = {
        f"{operator.value}{column.name}"
        for columns in column_tables.LISTS.values()
        for column in columns
        for operator in applicable(column)
    }
    silent = [
        f"{path}: {parameter['name']}"
        for path, item in document()["paths"].items()
        for operation in item.values()
        if isinstance(operation, dict)
        for parameter in operation.get("parameters", [])
        if parameter["in"] == "query" and parameter["name"] not in of_columns and f"`{parameter['name']}" not in guide
    ]
    assert silent == []


def test_every_path_of_the_openapi_document_has_a_place_in_a_guide() -> None:
    guide = "".join(path.read_text() for path in GUIDES)
    silent = [
        path for path in document()["paths"] if f" {path.removeprefix('/api/v1').removeprefix('/api')}`" not in guide
    ]
    assert silent == []


def test_every_error_code_is_explained_in_a_guide() -> None:
    guide = "".join(path.read_text() for path in GUIDES)
    assert [kind.code for kind in STATUS if f"`{kind.code}`" not in guide] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    text = _FENCE.sub("", path.read_text())
    broken = [
        target
        for target in _LINK.findall(text)
        if not re.match(r"[a-z]+:", target) and not _leads_somewhere(path, target)
    ]
    assert broken == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_rows_of_tables_have_the_cells_of_their_heading(path: Path) -> None:
    text = _FENCE.sub("", path.read_text())
    for table in re.findall(r"(?m)(?:^\|.*\n)+", text):
        heading, *rows = [re.split(r"(?<!\\)\|", line) for line in table.splitlines()]
        assert [row for row in rows if len(row) != len(heading)] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_documents_name_exist(path: Path) -> None:
    if path.name == "adding-an-endpoint.md":
        text = "".join(line for line in path.read_text().splitlines(True) if "fields" not in line)
    else:
        text = path.read_text()
    named = [*_FILE.findall(text), *(f"app/{name}" for name in _SHORT_FILE.findall(text))]
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_requests_that_documents_name_have_a_route(path: Path) -> None:
    known = {(method.upper(), target) for target, item in document()["paths"].items() for method in item}
    unknown = [
        f"{method} {target}" for method, target in _REQUEST.findall(path.read_text()) if (method, target) not in known
    ]
    made_in_the_example = ["GET /api/v1/fields"] if path.name == "adding-an-endpoint.md" else []
    assert unknown == made_in_the_example


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_document_is_reached_from_the_readme(path: Path) -> None:
    reached, ahead = set(), [README]
    while ahead:
        here = ahead.pop()
        if here in reached or here.suffix != ".md" or not here.is_file():
            continue
        reached.add(here)
        targets = _LINK.findall(_FENCE.sub("", here.read_text()))
        ahead += [(here.parent / target.partition("#")[0]).resolve() for target in targets if ":" not in target]
    assert path in reached


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_that_documents_name_exist(path: Path) -> None:
    text = path.read_text()
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(r"`make ([a-z]+)", text)
    named += re.findall(r"^make ([a-z]+)", "".join(blocks(path, "bash")), re.MULTILINE)
    unknown = {f"make {word}" for word in named if word not in targets}
    for words in re.findall(r"\bcontimg-api((?: [a-z]+)+)", text):
        unknown |= _unknown_command(words.split())
    assert unknown == set()


@pytest.mark.live
def test_folder_of_fits_files_is_served_after_the_three_commands_of_the_readme(walked: Walked, tmp_path: Path) -> None:
    (tmp_path / "my-fits").mkdir()
    for number, image in enumerate(sorted((walked.survey / "images").glob("*image.fits"))[:3]):
        shutil.copy(image, tmp_path / "my-fits" / f"field{number}.fits")
    initialise, ingest, serve = next(text for text in blocks(README, "bash") if "contimg-api init" in text).splitlines()
    environ = environment_for(tmp_path)
    subprocess.run(["bash", "-ec", f"{initialise}\n{ingest}"], cwd=tmp_path, env=environ, check=True, timeout=60)
    with listening(f"exec {serve}", tmp_path, environ) as port:
        images = json.loads(fetch(port, "/api/v1/images"))
        assert sorted(Path(image["path"]).name for image in images) == ["field0.fits", "field1.fits", "field2.fits"]
        assert fetch(port, f"/api/v1/images/{images[0]['id']}/fits").startswith(b"SIMPLE  =")
    greeting = next(text for text in blocks(README, "text") if text.startswith("Serving"))
    worth_trying = r"(?m)^  http://127\.0\.0\.1:\d+(/\S+) +(\S.*)"
    assert re.findall(worth_trying, greeting) == re.findall(worth_trying, (tmp_path / "serve.log").read_text())


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_json_in_documents_is_json(path: Path) -> None:
    for text in blocks(path, "json"):
        read_trimmed(text)


def test_example_of_adding_an_endpoint_is_an_endpoint(monkeypatch: pytest.MonkeyPatch, pipeline: Pipeline) -> None:
    sections = re.split(r"^## ", (ROOT / "docs" / "adding-an-endpoint.md").read_text(), flags=re.MULTILINE)[1:]
    for section in sections:
        code = re.findall(r"^```python\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
        if code and code[0].startswith('"""'):
            name = re.findall(r"`(app/\w+/\w+)\.py`", section)[0].replace("/", ".")
            module = ModuleType(name)
            monkeypatch.setitem(sys.modules, name, module)
            exec(code[0], vars(module))
        elif code and code[0].startswith('    "v_'):
            ((view, select),) = ast.literal_eval(f"{{{code[0].strip()}}}").items()
            monkeypatch.setitem(views.JOINS, view, select)
    modules = {name: sys.modules[f"app.{name}.fields"] for name in ("blueprints", "services", "repositories")}
    monkeypatch.setattr(blueprints, "ALL", (*blueprints.ALL, modules["blueprints"].blp))
    settings = Settings.from_environment(
        {"DSA110_ENV": "testing", "PIPELINE_PRODUCTS_DB": str(pipeline.products_path), "DSA110_LOG_REQUESTS": "false"}
    )
    app = create_app(settings)
    services = app.extensions["contimg.services"]
    wired = modules["services"].FieldService(modules["repositories"].FieldRepository(services.database))
    monkeypatch.setattr(modules["blueprints"], "services", lambda: SimpleNamespace(fields=wired))
    for name, created_s in (("B", 100.0), ("A", 0.0), ("B", 200.0), (None, 300.0)):
        pipeline.make_image(field_name=name, created_at=created_s)
    assert app.test_client().get("/api/v1/fields").get_json() == [
        {"name": "A", "num_images": 1, "newest_at": "1970-01-01T00:00:00Z"},
        {"name": "B", "num_images": 2, "newest_at": "1970-01-01T00:03:20Z"},
    ]
    services.close()


def environment_for(home: Path) -> dict[str, str]:
    """A person's shell after `make install`: the command on the path, and a home directory."""
    script = home / "bin" / "contimg-api"
    script.parent.mkdir()
    script.write_text(f"#!{sys.executable}\nfrom app.cli import main\nmain()\n")
    script.chmod(0o755)
    return {
        "HOME": str(home),
        "PATH": f"{script.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "DSA110_HOST": "127.0.0.1",
        "DSA110_PORT": "0",
        "DSA110_WORKERS": "1",
    }


@contextmanager
def listening(line: str, directory: Path, environ: dict[str, str]) -> Iterator[int]:
    """Run a line that serves, until it is no longer needed; the port it listens on."""
    log = directory / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen(["bash", "-c", line], cwd=directory, env=environ, stdout=output, stderr=output)
    try:
        limit = time.monotonic() + 30.0
        while (found := re.search(r"Listening at: http://127\.0\.0\.1:(\d+)", log.read_text())) is None:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < limit, log.read_text()
            time.sleep(0.05)
        yield int(found[1])
    finally:
        process.terminate()
        process.wait(45)


def fetch(port: int, target: str) -> bytes:
    """The body of an answer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    with closing(connection):
        connection.request("GET", target)
        return connection.getresponse().read()


def _unknown_command(words: list[str]) -> set[str]:
    """The command, if the command line does not know it; what follows a command without subcommands is its argument."""
    here: click.Command = main
    for number, word in enumerate(words):
        if not isinstance(here, click.Group):
            return set()
        if word not in here.commands:
            return {f"contimg-api {' '.join(words[: number + 1])}"}
        here = here.commands[word]
    return set()


def _leads_somewhere(here: Path, target: str) -> bool:
    name, _, anchor = target.partition("#")
    there = (here.parent / name).resolve() if name else here
    if not there.exists():
        return False
    return not anchor or anchor in {_anchor(heading) for heading in _HEADING.findall(there.read_text())}


def _anchor(heading: str) -> str:
    """Name of a heading as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize(
    ("shown", "real", "same"),
    [
        ('{"a": 1, …}', {"a": 1, "b": 2}, True),
        ('{"a": 1}', {"a": 2}, False),
        ('{"a": 1}', {"b": 1}, False),
        ("[1, …]", [1, 2, 3], True),
        ("[1, 2]", [1], False),
        ('"x…z"', "xyz", True),
        ('"x…z"', "xy", False),
        ("0.000527", 0.00052714, True),
        ("0.000528", 0.00052714, False),
        ("60978.58", 60978.58028426, True),
        ("60978.57", 60978.58028426, False),
        ("0.0", 0, False),
        ("7", 7, True),
        ("null", 0, False),
        ("true", 1, False),
    ],
)
def test_trimmed_output_is_compared_with_the_real_one(shown: str, real: Any, same: bool) -> None:
    assert (differences(read_trimmed(shown), real) == []) is same
