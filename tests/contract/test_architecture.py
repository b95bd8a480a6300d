"""The house: floors, and what is not built here."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "app").rglob("*.py"))
NAMES = [str(path.relative_to(ROOT)) for path in MODULES]


def nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text(), filename=str(path)))


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return []


def test_there_are_modules_to_look_at() -> None:
    assert len(MODULES) > 40


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_nothing_is_asynchronous(path: Path) -> None:
    for node in nodes(path):
        assert not isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith)
        roots = {name.split(".")[0] for name in imported(node)}
        assert not roots & {"asyncio", "anyio", "trio", "uvloop", "gevent", "eventlet", "aiosqlite"}


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_only_the_database_room_opens_databases(path: Path) -> None:
    if path.parent.name == "db":
        return
    text = path.read_text()
    assert "sqlite3.connect" not in text
    assert not re.search(r"\bsqlite3\.Connection\(", text)


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_no_module_outgrows_its_reader(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 320


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_every_public_thing_says_what_it_is(path: Path) -> None:
    tree = ast.parse(path.read_text())
    if path.stat().st_size == 0:
        return
    assert ast.get_docstring(tree), "the module"
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and node.name != "Meta":
            assert ast.get_docstring(node), f"class {node.name}"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"function {node.name}"


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_statements_name_their_columns(path: Path) -> None:
    assert not re.search(r"select\s+\*", path.read_text(), re.IGNORECASE)


def test_imports_go_down_the_floors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert lint_imports(config_filename="setup.cfg", no_cache=True) == 0
