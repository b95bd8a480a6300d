"""Writes what became of requests under faults and attacks into docs/operations/reliability.md.

Tests write a line each into the file that ``CONTIMG_RELIABILITY_LOG`` names, of which
``python -m tests.support.reliability LOG`` makes the tables. One of which the log knows nothing is left as it is.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "operations" / "reliability.md"
LOG_VARIABLE = "CONTIMG_RELIABILITY_LOG"
COUNTS = ("sent", "right", "refused", "lost", "wrong")

Result = dict[str, Any]


class Table(NamedTuple):
    """A table of the document, and how it is made of the lines of the log that have a member ``kind``.

    Of lines that agree in ``case`` the last one counts; ``gathered`` makes rows of those that are left.
    """

    kind: str
    case: str
    columns: tuple[str, ...]
    gathered: Callable[[list[Result]], list[Result]]
    cells: Callable[[Result], list[str]]
    above: Callable[[list[Result]], list[str]] = lambda _: []

    @property
    def begin(self) -> str:
        """The mark in front of it."""
        return f"<!-- {self.kind}s: begin -->"

    @property
    def end(self) -> str:
        """The mark behind it."""
        return f"<!-- {self.kind}s: end -->"

    def text(self, found: list[Result]) -> str:
        """All that stands between the marks."""
        rows = self.gathered(found)
        rule = ["--:" if name in (*COUNTS, "slowest", "lasted") else "---" for name in self.columns]
        lines = [
            *self.above(rows),
            _line(self.columns),
            f"|{'|'.join(rule)}|",
            *(_line(self.cells(row)) for row in rows),
        ]
        return "\n".join(lines)

    def rows(self, document: str) -> list[dict[str, str]]:
        """What the document's table says, by the names of the columns."""
        between = document.partition(self.begin)[2].partition(self.end)[0]
        lines = [line.strip("| ").split(" | ") for line in between.splitlines() if line.startswith("| ")]
        return [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]


def write(line: Result) -> None:
    """Append a line to the log, if there is one, in one piece, whoever else writes to it."""
    if LOG_VARIABLE not in os.environ:
        return
    file = os.open(os.environ[LOG_VARIABLE], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(file, f"{json.dumps(line)}\n".encode())
    finally:
        os.close(file)


def results(log: Path, table: Table) -> list[Result]:
    """The last result of each case of a table, in the order of the tests."""
    last: dict[str, Result] = {}
    for line in log.read_text("utf-8").splitlines():
        result = json.loads(line)
        if table.kind in result:
            last[result[table.case]] = result
    return list(last.values())


def written_into(document: str, table: Table, found: list[Result]) -> str:
    """The document with another table between its marks."""
    before, _, rest = document.partition(table.begin)
    _, _, after = rest.partition(table.end)
    return "\n".join([before + table.begin, table.text(found), table.end + after])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _name(result: Result) -> str:
    return f"`{result['test'].rpartition('/')[2].replace('::', ' ')}`"


def _counts(result: Result) -> list[str]:
    return [f"{result[count]:,}" for count in COUNTS]


# -- the two


def _fault(result: Result) -> list[str]:
    times = [f"{result['slowest_s']:.2f} s", f"{result['seconds']:.0f} s"]
    return [result["fault"], result["outcome"], _name(result), *_counts(result), *times]


def _attack(result: Result) -> list[str]:
    return [result["attack"], result["outcome"], _name(result), *_counts(result)]


def _by_function(found: list[Result]) -> list[Result]:
    """One row for a test with all its parameters, in the order in which they stand in their files."""
    rows: dict[str, Result] = {}
    for result in sorted(found, key=lambda result: result["place"]):
        row = rows.setdefault(result["test"], result | dict.fromkeys(COUNTS, 0))
        row |= {count: row[count] + result[count] for count in COUNTS}
    return list(rows.values())


def _altogether(rows: list[Result]) -> list[str]:
    sent, right, refused, lost, wrong = (sum(row[count] for row in rows) for count in COUNTS)
    told = f"{right:,} answered rightly, {refused:,} refused cleanly, {lost:,} lost, {wrong:,} wrong"
    return [f"{len(rows)} attacks made {sent:,} requests and attempts: {told}.", ""]


FAULTS = Table(
    "fault",
    "fault",
    ("fault", "what happens", "test", *COUNTS, "slowest", "lasted"),
    gathered=list,
    cells=_fault,
)
ATTACKS = Table(
    "attack",
    "case",
    ("attack", "what happens", "test", *COUNTS),
    gathered=_by_function,
    cells=_attack,
    above=_altogether,
)


def main(log: Path) -> None:
    """Write the tables of a log into the document."""
    for table in (FAULTS, ATTACKS):
        found = results(log, table)
        if found:
            DOCUMENT.write_text(written_into(DOCUMENT.read_text("utf-8"), table, found), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
