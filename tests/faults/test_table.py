"""The table of reliability.md tells of tests that there are, and the load that it counts can tell right from wrong."""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from pathlib import Path

import pytest

from tests.faults.table import BEGIN, DOCUMENT, END, Result, results, written_into
from tests.support.load import Load, Truth
from tests.support.neighbours import closed_port, neighbour
from tests.support.server import ROOT

NAMED = re.compile(r"`(?:(tests/[\w/]+\.py)|(test_\w+\.py))?(?:::| )?(test_\w+)`")
DEFINED = re.compile(r"^def (test_\w+)\(", re.MULTILINE)
FILES = sorted((ROOT / "tests").glob("*/test_*.py"))


def named_tests(text: str) -> list[tuple[str, str]]:
    """Name of file, where it is given, and of the test wherever a document names one."""
    return [((path or name).rpartition("/")[2], test) for path, name, test in NAMED.findall(text)]


def test_every_test_that_is_named_is_there() -> None:
    named = named_tests(DOCUMENT.read_text("utf-8"))
    assert len(named) > 30
    defined = [(file.name, test) for file in FILES for test in DEFINED.findall(file.read_text("utf-8"))]
    there = {*defined, *(("", test) for _, test in defined)}
    assert sorted(set(named) - there) == []


def test_every_fault_stands_in_the_table_and_nothing_was_wrong() -> None:
    table = DOCUMENT.read_text("utf-8").partition(BEGIN)[2].partition(END)[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")][1:]
    told = {test for _, test in named_tests(table)}
    reporting = {
        name
        for file in Path(__file__).parent.glob("test_*.py")
        for name, body in re.findall(r"^def (test_\w+)\((.*?)(?=^def |\Z)", file.read_text("utf-8"), re.M | re.S)
        if "report: Report" in body and file.name != Path(__file__).name
    }
    assert told == reporting
    assert {row[7] for row in rows} == {"0"}


def test_last_result_of_each_fault_is_written(tmp_path: Path) -> None:
    log = tmp_path / "log"
    result: Result = {"fault": "A", "outcome": "o", "test": "tests/faults/test_a.py::test_b", "slowest_s": 0.5}
    result |= {"sent": 12345, "right": 12344, "refused": 1, "lost": 0, "wrong": 0, "seconds": 60.0}
    log.write_text("".join(json.dumps(result | {"sent": sent}) + "\n" for sent in (1, 12345)))
    written = written_into(f"before\n{BEGIN}\nold\n{END}\nafter\n", results(log))
    assert written.splitlines()[0] == "before"
    assert written.splitlines()[4:] == [
        "| A | o | `test_a.py test_b` | 12,345 | 12,344 | 1 | 0 | 0 | 0.50 s | 60 s |", END, "after",
    ]  # fmt: skip


# -- the load


def answer(status: int, body: bytes, *fields: str) -> bytes:
    """An answer after which the connection is closed."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", f"Content-Length: {len(body)}", "Connection: close"]
    return "\r\n".join([*lines, *fields, "", ""]).encode() + body


PROBLEM = "Content-Type: application/problem+json"
RIGHT = b'{"id": "1", "path": "/a.fits", "noise_jy": 0.5}'


@pytest.mark.parametrize(
    ("given", "counted"),
    [
        (answer(200, RIGHT), "right"),
        (answer(200, RIGHT.replace(b"0.5", b"0.6")), "wrong"),
        (answer(200, b"no JSON"), "wrong"),
        (answer(404, b'{"status": 404}', PROBLEM, "Retry-After: 1"), "wrong"),
        (answer(503, b'{"status": 503}', PROBLEM, "Retry-After: 5"), "refused"),
        (answer(503, b'{"status": 503}', PROBLEM), "wrong"),
        (answer(503, b"<html>", "Content-Type: text/html", "Retry-After: 5"), "wrong"),
        (answer(200, RIGHT)[:-3], "lost"),
        (b"", "lost"),
    ],
)
def test_load_tells_right_from_refused_lost_and_wrong(given: bytes, counted: str) -> None:
    truth = Truth({"/api/v1/images/1": ("1", "/a.fits", 0.5)})
    with neighbour(given) as port, Load.of(port, truth, clients=1) as load:
        load.wait_for_more(2)
    counts = load.tally._asdict()
    assert counts[counted] == load.tally.sent > 1


def test_load_counts_a_server_that_is_not_there_as_lost() -> None:
    with Load.of(closed_port(), Truth({"/": ()}), clients=1) as load:
        load.wait_for_more(2)
    assert load.tally.lost == load.tally.sent


def test_truth_takes_what_stood_while_the_request_was_under_way() -> None:
    target = "/api/v1/images/1"
    old, new = (("1", "/a.fits", noise) for noise in (0.5, 0.6))
    truth = Truth({target: old})
    with neighbour(answer(200, RIGHT)) as port:
        with Load.of(port, truth, clients=1) as before:
            before.wait_for_more(2)
        with truth.becoming({target: new}), Load.of(port, truth, clients=1) as meanwhile:
            meanwhile.wait_for_more(2)
        with Load.of(port, truth, clients=1) as after:
            after.wait_for_more(2)
    assert before.tally.right == before.tally.sent
    assert meanwhile.tally.right == meanwhile.tally.sent
    assert after.tally.wrong == after.tally.sent
