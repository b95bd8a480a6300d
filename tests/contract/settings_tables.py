"""Brings the tables of docs/configuration.md up to date: ``python -m tests.contract.settings_tables``.

A row is written anew from its setting; the row of a new setting goes below the one declared before it, that of a
removed one goes. A default that depends on other settings is described by hand, in place of "computed".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from app.config import Settings

DOCUMENT = Path(__file__).parents[2] / "docs" / "configuration.md"
END_OF_SETTINGS = "## The pipeline's files"
ROW = re.compile(r"^\| (?P<names>`(?P<variable>[A-Z0-9_]+)`.*?) \| (?P<default>.*?) \| (?P<meaning>.*) \|$")
METADATA: dict[str, Mapping[str, Any]] = {item.metadata["variable"]: item.metadata for item in fields(Settings)}


def row(variable: str, default: str) -> str:
    """The row of a setting."""
    metadata = METADATA[variable]
    older = ", ".join(f"`{alias}`" for alias in metadata["aliases"])
    names = f"`{variable}`" + (f"<br>also {older}" if older else "")
    return f"| {names} | {default} | {metadata['help']} |"


def shown(default: Any) -> str:
    """A default as the document writes it."""
    if default is None or default in ("", ()):
        return "none"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, tuple):
        return f"`{(':' if isinstance(default[0], Path) else ',').join(map(str, default))}`"
    return f"`{int(default) if isinstance(default, float) and default.is_integer() else default}`"


def brought_up_to_date(text: str) -> str:
    """The document with every row as it should be."""
    settings, rest = text.split(END_OF_SETTINGS)
    lines = settings.split("\n")
    known = {match["variable"]: match["default"] for line in lines if (match := ROW.match(line))}
    lines = [line for line in lines if (match := ROW.match(line)) is None or match["variable"] in METADATA]
    place = 0
    for variable, metadata in METADATA.items():
        computed = callable(metadata["default"])
        line = row(variable, known.get(variable, "computed") if computed else shown(metadata["default"]))
        if variable in known:
            place = next(
                n for n, old in enumerate(lines) if (match := ROW.match(old)) and match["variable"] == variable
            )
            lines[place] = line
        else:
            place += 1
            lines.insert(place, line)
    return "\n".join(lines) + END_OF_SETTINGS + rest


if __name__ == "__main__":
    DOCUMENT.write_text(brought_up_to_date(DOCUMENT.read_text()))
