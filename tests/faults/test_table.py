"""The tables of reliability.md tell of the tests that there are, and what counts can tell right from wrong."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

import pytest

from tests.support import reliability
from tests.support.load import Load, Truth
from tests.support.neighbours import closed_port, neighbour
from tests.support.reliability import ATTACKS, COUNTS, DOCUMENT, FAULTS, Result, Table, results, written_into
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


def found_in(folder: str, condition: Callable[[ast.FunctionDef], bool]) -> set[tuple[str, str]]:
    """Name of file and name of those tests of a folder that a condition holds of."""
    return {
        (file.name, each.name)
        for file in FILES
        for each in ast.parse(file.read_text("utf-8")).body
        if file.parent.name == folder and isinstance(each, ast.FunctionDef) and each.name.startswith("test_")
        if condition(each)
    }


def reports(test: ast.FunctionDef) -> bool:
    return any(argument.arg == "report" for argument in test.args.args)


def is_marked(test: ast.FunctionDef, mark: str) -> bool:
    return any(ast.unparse(decorator).partition("(")[0] == mark for decorator in test.decorator_list)


TOLD = [
    (FAULTS, found_in("faults", reports)),
    (ATTACKS, found_in("security", lambda test: is_marked(test, "attack"))),
]


@pytest.mark.parametrize(("table", "there"), TOLD, ids=["faults", "attacks"])
def test_table_has_every_test_there_is_and_no_other_and_nothing_was_wrong(
    table: Table, there: set[tuple[str, str]]
) -> None:
    rows = table.rows(DOCUMENT.read_text("utf-8"))
    (told,) = zip(*(named_tests(row["test"]) for row in rows), strict=True)
    assert len(there) > 15
    assert set(told) == there
    for row in rows:
        sent, *parts = (int(row[count].replace(",", "")) for count in COUNTS)
        assert sent == sum(parts) > 0, row
        assert row["wrong"] == "0", row


def test_attacks_are_one_row_for_each_test_and_are_told_in_its_words() -> None:
    rows = ATTACKS.rows(DOCUMENT.read_text("utf-8"))
    assert len({row["test"] for row in rows}) == len(rows)
    for row in rows:
        ((file, name),) = named_tests(row["test"])
        words = ast.parse((ROOT / "tests" / "security" / file).read_text("utf-8")).body
        (test,) = (each for each in words if isinstance(each, ast.FunctionDef) and each.name == name)
        (mark,) = (each for each in test.decorator_list if ast.unparse(each).startswith("attack("))
        assert isinstance(mark, ast.Call)
        assert [ast.literal_eval(word) for word in mark.args] == [row["attack"], row["what happens"]]


def test_every_security_test_is_an_attack_or_a_control_of_one() -> None:
    every = found_in("security", lambda _: True)
    assert every - found_in("security", lambda test: is_marked(test, "attack") != is_marked(test, "control")) == set()


# -- how it is written


def logged(log: Path, *results: Result) -> Path:
    log.write_text("".join(json.dumps(result) + "\n" for result in results))
    return log


FAULT: Result = {
    "fault": "A", "outcome": "o", "test": "tests/faults/test_a.py::test_b", "slowest_s": 0.5,
    "sent": 12345, "right": 12344, "refused": 1, "lost": 0, "wrong": 0, "seconds": 60.0,
}  # fmt: skip


def attacked(case: str, line: int, sent: int) -> Result:
    test = f"tests/security/test_{case[0]}.py::test_{case[0]}"
    counts = {"sent": sent, "right": sent - 1, "refused": 1, "lost": 0, "wrong": 0}
    return {"attack": case[0], "outcome": "o", "test": test, "case": case, "place": ["f", line], **counts}


def test_last_result_of_each_fault_is_written(tmp_path: Path) -> None:
    log = logged(tmp_path / "log", FAULT | {"sent": 1}, FAULT)
    document = f"before\n{FAULTS.begin}\nold\n{FAULTS.end}\nafter\n"
    written = written_into(document, FAULTS, results(log, FAULTS))
    assert written.splitlines() == [
        "before",
        FAULTS.begin,
        "| fault | what happens | test | sent | right | refused | lost | wrong | slowest | lasted |",
        "|---|---|---|--:|--:|--:|--:|--:|--:|--:|",
        "| A | o | `test_a.py test_b` | 12,345 | 12,344 | 1 | 0 | 0 | 0.50 s | 60 s |",
        FAULTS.end,
        "after",
    ]
    assert written_into(written, FAULTS, results(log, FAULTS)) == written
    assert [row["sent"] for row in FAULTS.rows(written)] == ["12,345"]


def test_cases_of_an_attack_are_summed_where_they_stand_in_their_files(tmp_path: Path) -> None:
    """Each case counts once, however often it ran; what another process wrote first does not come first."""
    again = attacked("a[1]", 9, 1000)
    log = logged(
        tmp_path / "log", attacked("b[1]", 20, 3), FAULT, again, attacked("a[2]", 9, 5), attacked("a[1]", 9, 2)
    )
    written = written_into(f"{ATTACKS.begin}\n{ATTACKS.end}", ATTACKS, results(log, ATTACKS))
    assert "2 attacks made 10 requests and attempts: 7 answered rightly, 3 refused cleanly, 0 lost" in written
    assert [(row["attack"], row["sent"], row["refused"]) for row in ATTACKS.rows(written)] == [
        ("a", "7", "2"),
        ("b", "3", "1"),
    ]


def test_tables_that_a_log_knows_nothing_of_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = tmp_path / "document.md"
    document.write_text(f"{FAULTS.begin}\nold\n{FAULTS.end}\n{ATTACKS.begin}\nold\n{ATTACKS.end}\n")
    monkeypatch.setattr(reliability, "DOCUMENT", document)
    reliability.main(logged(tmp_path / "log", attacked("a", 1, 2)))
    assert document.read_text().startswith(f"{FAULTS.begin}\nold\n{FAULTS.end}\n{ATTACKS.begin}\n1 attack")


def test_lines_that_processes_write_at_the_same_time_are_whole(tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = "from tests.support.reliability import write\nfor _ in range(300): write({'attack': 'x' * 3000})"
    environ = {"CONTIMG_RELIABILITY_LOG": str(log), "PYTHONPATH": str(ROOT)}
    started = [subprocess.Popen([sys.executable, "-c", code], env=environ, cwd=ROOT) for _ in range(3)]
    assert [process.wait(60) for process in started] == [0, 0, 0]
    assert {len(json.loads(line)["attack"]) for line in log.read_text().splitlines()} == {3000}
    assert log.read_text().count("\n") == 900


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
