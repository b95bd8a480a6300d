"""Brings the tables of docs/lists.md up to date: ``python -m tests.contract.column_tables``.

Each list's table stands between ``<!-- columns of NAME -->`` and ``<!-- end -->``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from app.domain.calibration import CAL_COLUMNS
from app.domain.columns import Column
from app.domain.images import IMAGE_COLUMNS
from app.domain.jobs import JOB_COLUMNS
from app.domain.measurement_sets import MS_COLUMNS
from app.domain.photometry import PHOTOMETRY_COLUMNS
from app.domain.selection import Operator, applicable
from app.domain.sources import SOURCE_COLUMNS

DOCUMENT = Path(__file__).parents[2] / "docs" / "lists.md"
LISTS: dict[str, Sequence[Column]] = {
    "/images": IMAGE_COLUMNS,
    "/ms": MS_COLUMNS,
    "/sources": SOURCE_COLUMNS,
    "/photometry": PHOTOMETRY_COLUMNS,
    "/jobs": JOB_COLUMNS,
    "/cal": CAL_COLUMNS,
}


def table(columns: Sequence[Column]) -> str:
    """Columns with their units and the conditions that they take."""
    lines = ["| column | unit | conditions | |", "|---|---|---|---|"]
    for column in columns:
        conditions = ", ".join(
            "=" if operator is Operator.ONE_OF else f"`{operator.value}`" for operator in applicable(column)
        )
        description = column.description.replace("|", r"\|")
        lines.append(f"| `{column.name}` | {column.unit} | {conditions} | {description} |")
    return "\n".join(lines)


def brought_up_to_date(text: str) -> str:
    """The document with every table as it should be."""
    for name, columns in LISTS.items():
        pattern = re.compile(rf"(<!-- columns of {re.escape(name)} -->\n).*?(\n<!-- end -->)", re.DOTALL)
        assert pattern.search(text), f"docs/lists.md has no table of {name}"
        text = pattern.sub(lambda found, columns=columns: found[1] + table(columns) + found[2], text)
    return text


if __name__ == "__main__":
    DOCUMENT.write_text(brought_up_to_date(DOCUMENT.read_text()))
