"""Writes what became of requests under faults into docs/operations/reliability.md.

Run as ``python -m tests.faults.table LOG``, LOG being the file that ``CONTIMG_RELIABILITY_LOG`` named when the tests
ran; the last result of each fault counts.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "operations" / "reliability.md"
BEGIN, END = "<!-- faults: begin -->", "<!-- faults: end -->"
HEAD = "| fault | what happens | test | sent | right | refused | lost | wrong | slowest | lasted |"
RULE = "|---|---|---|--:|--:|--:|--:|--:|--:|--:|"

Result = dict[str, Any]


def results(log: Path) -> list[Result]:
    """The last result of each fault, in the order of the tests."""
    last: dict[str, Result] = {}
    for line in log.read_text("utf-8").splitlines():
        result = json.loads(line)
        last[result["fault"]] = result
    return list(last.values())


def row(result: Result) -> str:
    """A line of the table."""
    name = result["test"].rpartition("/")[2].replace("::", " ")
    counts = [f"{result[count]:,}" for count in ("sent", "right", "refused", "lost", "wrong")]
    times = [f"{result['slowest_s']:.2f} s", f"{result['seconds']:.0f} s"]
    return f"| {' | '.join([result['fault'], result['outcome'], f'`{name}`', *counts, *times])} |"


def written_into(document: str, found: list[Result]) -> str:
    """The document with another table between its marks."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return "\n".join([before + BEGIN, HEAD, RULE, *map(row, found), END + after])


if __name__ == "__main__":
    DOCUMENT.write_text(written_into(DOCUMENT.read_text("utf-8"), results(Path(sys.argv[1]))), "utf-8")
