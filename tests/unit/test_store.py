"""The store of finished answers: its bound, its order, its names and patterns."""

from __future__ import annotations

import fnmatch
import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.web.store import Entry, Key, Store, Token, compile_glob, names


def key(path: str = "/api/v1/images", query: str = "", encoding: str = "identity") -> Key:
    return Key("", path, query, encoding, "json", "")


def entry(size: int = 10) -> Entry:
    return Entry.of("200 OK", [("Content-Type", "text/plain")], b"x" * size, '"etag"', "/route")


def fill(store: Store, *keys: Key, size: int = 10, generation: int = 1) -> None:
    for each in keys:
        token: Any = store.get(each, generation)
        store.put(each, entry(size), token)


def held(store: Store, *keys: Key, generation: int = 1) -> list[bool]:
    return [isinstance(store.get(each, generation), Entry) for each in keys]


def test_least_recently_used_entries_make_room() -> None:
    keys = [key(f"/{n:02}") for n in range(13)]
    measured = Store(2**20)
    fill(measured, keys[0])
    store = Store(10 * measured.figures().size_bytes)
    fill(store, *keys[:10])
    assert held(store, *keys[:10]) == [True] * 10
    assert held(store, keys[0]) == [True]
    fill(store, *keys[10:])
    assert held(store, *keys) == [True] + [False] * 3 + [True] * 9


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 40_000)), max_size=80))
def test_size_stays_within_the_bound_and_is_given_back(puts: list[tuple[int, int]]) -> None:
    store = Store(200_000)
    for number, size in puts:
        # Put without asking, so that entries are replaced as well.
        token: Any = store.get(key(f"/absent/{number}"), 1)
        store.put(key(f"/{number}"), entry(size), token)
        assert store.figures().size_bytes <= store.capacity_bytes
    store.purge()
    assert store.figures()[2:] == (0, 0)


def test_entry_put_again_counts_once() -> None:
    once, twice = Store(2**20), Store(2**20)
    fill(once, key(), size=700)
    fill(twice, key("/api/v1/images"))
    token = Token(1, 0)
    twice.put(key(), entry(700), token)
    assert twice.figures()[2:] == once.figures()[2:]


def test_answer_of_an_eighth_of_the_store_is_not_kept() -> None:
    store = Store(80_000)
    fill(store, key(), size=10_000)
    assert store.figures().keys == 0


def test_answer_to_an_endless_address_is_not_kept() -> None:
    store = Store(2**20)
    fill(store, key(query="x=" + "y" * 2_000), key("/" + "y" * 2_000))
    assert store.figures().keys == 0


def test_memory_taken_is_about_what_is_counted() -> None:
    store = Store(2**24)
    headers = [(f"X-Header-{n}", "a constant") for n in range(10)]
    tracemalloc.start()
    for n in range(2_000):
        path, etag = f"/api/v1/images/{n:08}", f'"{n:032x}"'
        own = [*headers, ("Content-Length", f"{n + 1000}"), ("Link", f"<{path}>"), ("ETag", etag)]
        token: Any = store.get(key(path), 1)
        store.put(key(path), Entry.of("200 OK", own, b"%400d" % n, etag, "/route"), token)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert store.figures().keys == 2_000
    assert 0.6 < taken / store.figures().size_bytes < 1.1


def test_newer_generation_empties_the_store() -> None:
    store = Store(2**20)
    fill(store, key("/a"), key("/b"))
    store.get(key("/c"), 2)
    assert store.figures()[2:] == (0, 0)


def test_older_generation_finds_nothing_and_leaves_the_newer_alone() -> None:
    store = Store(2**20)
    fill(store, key(), generation=2)
    assert held(store, key(), generation=1) == [False]
    fill(store, key(), generation=1)
    assert held(store, key(), generation=2) == [True]


def test_figures_count_what_was_served_and_what_could_have_been() -> None:
    store = Store(2**20)
    fill(store, key("/a"), key("/b"))
    held(store, key("/a"), key("/a"), key("/b"), key("/nothing"))
    store.count_shared()
    assert store.figures()[:2] == (4, 2)
    assert store.figures().keys == 2


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("/api/v1/stats", "", ["stats"]),
        ("/api/v1/images", "", ["images", "images:list"]),
        ("/api/v1/images", "limit=5", ["images?limit=5", "images:list?limit=5"]),
        ("/api/v1/images/7", "", ["images:7", "images:detail:7"]),
        ("/api/v1/images/7/qa", "", ["images:7:qa"]),
        ("/api/v1/sources", "", ["sources", "sources:list"]),
        ("/api/v1/sources/S 1", "", ["sources:S 1", "sources:detail:S 1"]),
        ("/api/v1/sources/S1/lightcurve", "end_date=2025-11-01", ["sources:S1:lightcurve?end_date=2025-11-01"]),
        ("/api/v1/cal//d/bp.tbl", "", ["cal::d:bp.tbl", "cal:tables::d:bp.tbl"]),
        ("/api/v1/ms//d/a.ms/metadata", "", ["ms::d:a.ms:metadata", "ms:metadata::d:a.ms"]),
        ("/api/v1/ms//d/a.ms/calibrator-matches", "", ["ms::d:a.ms:calibrator-matches", "cal:matches::d:a.ms"]),
        ("/api/v1/ms", "", ["ms"]),
        ("/api/v1/jobs", "", ["jobs", "jobs:list"]),
        ("/api/v1/jobs/job-x", "", ["jobs:job-x"]),
    ],
)
def test_entry_is_called_by_its_path_and_by_the_earlier_services_name(
    path: str, query: str, expected: list[str]
) -> None:
    assert list(names(key(path, query))) == expected


@pytest.mark.parametrize(
    ("pattern", "removed"),
    [
        ("*", 4),
        ("images*", 3),
        ("images:*", 3),
        ("images:list*", 2),
        ("images:detail:7", 1),
        ("images", 2),
        ("images:?", 1),
        ("sources", 1),
        ("sources:list:*", 0),
        ("stats", 0),
        ("", 0),
    ],
)
def test_purge_removes_what_the_pattern_names_and_tells_how_many(pattern: str, removed: int) -> None:
    store = Store(2**20)
    fill(store, key("/api/v1/images"), key("/api/v1/images", encoding="gzip"), key("/api/v1/images/7"))
    fill(store, key("/api/v1/sources"))
    assert store.purge(pattern) == removed
    assert store.figures().keys == 4 - removed


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("h?llo", ["hello", "h*llo", "h\nllo"], ["hllo", "heello"]),
        ("h*llo", ["hllo", "heeeello", "h\nllo"], ["hello!"]),
        ("h[ae]llo", ["hello", "hallo"], ["hillo", "hllo"]),
        ("h[^e]llo", ["hallo", "hbllo"], ["hello"]),
        ("h[a-c]llo", ["hallo", "hbllo"], ["hdllo", "h-llo"]),
        ("h[c-a]llo", ["hbllo"], ["hdllo"]),
        ("h[a-]llo", ["hallo", "h-llo"], ["hbllo"]),
        ("[^]", ["a"], ["", "ab"]),
        ("[]", [], ["a", ""]),
        (r"h\*llo", ["h*llo"], ["hello"]),
        (r"\[a]", ["[a]"], ["a"]),
        ("[a", ["[a"], ["a"]),
        ("a\\", ["a\\"], ["a"]),
        ("a.c+(", ["a.c+("], ["abc+("]),
        ("*a*b", ["ab", "xaxbxb"], ["ba"]),
        ("a*a", ["aa", "aba"], ["a"]),
        ("**", ["", "anything"], []),
        ("", [""], ["a"]),
    ],
)
def test_patterns_mean_what_they_mean_to_redis(pattern: str, matching: list[str], others: list[str]) -> None:
    matches = compile_glob(pattern)
    assert [text for text in matching + others if matches(text)] == matching


@given(st.text("ab*?", max_size=12), st.text("ab", max_size=12))
def test_stars_and_question_marks_decide_as_the_standard_library_does(pattern: str, text: str) -> None:
    assert bool(compile_glob(pattern)(text)) == fnmatch.fnmatchcase(text, pattern)


def test_hostile_pattern_takes_no_time() -> None:
    matches = compile_glob("*a" * 500 + "b")
    started = time.perf_counter()
    assert not matches("a" * 4_000)
    assert time.perf_counter() - started < 5
