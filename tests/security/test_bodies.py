"""Nothing that is sent, and no file that is read, costs much more than its size.

Beside these: hostile patterns of the cache (tests/unit/test_store.py), slow clients and other bounds (tests/live),
framing (test_smuggling.py). Times are those of this thread on a processor, which other processes do not lengthen.
"""

from __future__ import annotations

import gc
import gzip
import resource
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import pytest

from tests.security import surface
from tests.security.attempts import attack
from tests.security.conftest import KEY, Survey

HEADERS = {"X-API-Key": KEY}
CARDS = [b"SIMPLE  =                    T", b"BITPIX  =                  -32"]


@contextmanager
def soon(within_s: float, about: object = "") -> Iterator[None]:
    """Fails where the work inside took more of a processor's time [s]."""
    started = time.thread_time()
    yield
    spent = time.thread_time() - started
    assert spent < within_s, (about, spent)


@attack("compressed bodies that grow a thousandfold", "not unpacked; refused")
@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "identity", "x"])
def test_compressed_bodies_are_not_unpacked(survey: Survey, coding: str) -> None:
    """What was compressed is no JSON and is refused as such, however large it would become."""
    bomb = gzip.compress(b"[" + b" " * 20_000_000 + b"]", 6) if "gzip" in coding else zlib.compress(b" " * 20_000_000)
    assert len(bomb) < 100_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for operation in [each for each in surface.operations(survey.app) if each.body]:
        with soon(1.0, operation):
            answer = survey.client.open(
                operation.at(), method=operation.method, data=bomb, content_type="application/json",
                headers={**HEADERS, "Content-Encoding": coding},
            )  # fmt: skip
        assert answer.status_code in {400, 404, 415, 422}, (operation, answer.status_code)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000, "kB"


BODIES = {
    "deep lists": b"[" * 400_000 + b"]" * 400_000,
    "deep objects": b'{"a":' * 150_000 + b"1" + b"}" * 150_000,
    "unfinished": b'{"source_ids": [' * 60_000,
    "many names": b"{" + b",".join(b'"%d":1' % n for n in range(80_000)) + b"}",
    "the same name": b"{" + b",".join([b'"source_ids":[]'] * 60_000) + b"}",
    "endless number": b'{"source_ids": [' + b"9" * 1_000_000 + b"]}",
    "endless fraction": b'{"source_ids": [0.' + b"1" * 1_000_000 + b"]}",
    "many ids": b'{"source_ids": ["x"' + b',"x"' * 150_000 + b'], "image_ids": ["1"' + b',"1"' * 100 + b"]}",
    "many runs": b'{"runIds": ["x"' + b',"x"' * 200_000 + b"]}",
    "not a number": b'{"source_ids": NaN, "min_snr": Infinity}',
    "half a surrogate": b'{"source_ids": ["\\ud800"]}',
    "not UTF-8": b'{"source_ids": ["\xff\xfe"]}',
    "UTF-16": '{"source_ids": []}'.encode("utf-16"),
    "too much": b'{"source_ids": ["' + b"x" * 1_100_000 + b'"]}',
}


@attack("JSON that is deep, wide, endless or no UTF-8", "refused, soon")
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_large_and_strange_bodies_are_refused_soon(survey: Survey, body: bytes) -> None:
    readers = [each for each in surface.operations(survey.app) if each.body]
    # Three of those that read bodies, which are others for the next body.
    for operation in (readers * 3)[len(body) % len(readers) :][:3]:
        with soon(2.0, operation):
            answer = survey.client.open(
                operation.at(), method=operation.method, data=body, content_type="application/json", headers=HEADERS
            )
        if operation.path.endswith("/rerun"):  # has no body that matters
            assert answer.status_code < 500, operation
        else:
            assert answer.status_code in {400, 404, 413, 422}, (operation, answer.status_code, answer.data[:300])


@attack("forms of many fields", "refused or read, soon; no temporary file remains")
# Werkzeug leaves the parts of a form that is refused to the collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=b"])
def test_forms_of_many_fields_are_refused_or_read_soon(survey: Survey, content_type: str) -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="a"; filename="f"\r\n\r\nx\r\n'
    body = part * 6_000 if "multipart" in content_type else b"ID=1&" * 80_000
    for address in surface.OBSERVATORY:
        with soon(3.0, address):
            answer = surface.ask(survey.client, address, "POST", data=body, content_type=content_type)
        assert answer.status_code < 500
    gc.collect()
    assert list(Path(tempfile.gettempdir()).glob("werkzeug-*")) == []


HOSTILE = [
    "(a+)+$" * 500, "a" * 4000 + "!", "*a" * 1500, "%" * 4000, " " * 4000 + "x", "," * 4000, "-" * 4000 + "x",
    "1" * 4300, "1e" + "9" * 4000, "0." + "0" * 4000 + "1", "2025-10-31T" + "0" * 3000,
    "[" * 4000, "{" * 4000, "((" * 2000,
    "CIRCLE " + "1 " * 2000, "POLYGON " + "1 " * 2000, "1," * 2000, "id," * 1300, "é" * 1300, "S1;" * 1000,
]  # fmt: skip


@attack("values of parameters that take regular expressions and parsers long", "understood or refused, soon")
def test_no_parameter_takes_long_to_be_understood(survey: Survey) -> None:
    """One of the hostile values for each parameter, another for the next."""
    turns = cycle(HOSTILE)
    surface.ask(survey.client, "/api/v1/sources/S1/lightcurve.svg").close()  # what draws is loaded once
    # Of two parameters one: there are few kinds of them, and many lists.
    named = list(surface.parameters(surface.reads(survey.app)))[::2]
    for (operation, name), value in zip(named, turns, strict=False):
        about = (operation.path, name, value[:20])
        with soon(1.0, about), surface.ask(survey.client, operation.asked(**{name: value})) as answer:
            assert answer.status_code < 500, about


@attack("the same in every named part of an address", "understood or refused, soon")
def test_no_part_of_an_address_takes_long_to_be_understood(survey: Survey) -> None:
    ways = ("a" * 4000 + "!", "*a" * 1500, "[^" * 1500, "-T:" * 1000, "%25" * 1200, "%2F" * 2500, "[a-z" * 900)
    turns = cycle(zip(ways, ways[3:] + ways[:3], strict=True))
    for operation in surface.operations(survey.app) + surface.others(survey.app):
        for part in operation.parts:
            for value in next(turns):
                target = operation.at(**{part: value})
                with (
                    soon(1.0, target[:80]),
                    surface.ask(survey.client, target, operation.method, headers=HEADERS) as answer,
                ):
                    assert answer.status_code < 500, target[:80]


WISHES = {
    "Accept": "a/b;q=0.1," * 6000, "Accept-Encoding": ";," * 30_000, "If-None-Match": '"a",' * 15_000,
    "Range": "bytes=" + "0-1," * 15_000, "If-Range": "1 " * 30_000, "Cookie": "a=b;" * 15_000,
    "Authorization": "Bearer " + "a." * 30_000,
    "X-Forwarded-For": "10.0.0.1," * 7000, "If-Modified-Since": "Mon, " * 10_000, "Origin": "(a+)+" * 10_000,
    "Access-Control-Request-Headers": "a," * 30_000, "Last-Event-ID": "9" * 60_000, "Idempotency-Key": "k" * 60_000,
    "Content-Type": "a;" * 30_000, "X-API-Key": "\xff" * 60_000,
}  # fmt: skip


@attack(
    "header fields as long as gunicorn lets through, in forms that take long to read", "understood or refused, soon"
)
@pytest.mark.parametrize("name", WISHES)
def test_no_header_takes_long_to_be_understood(survey: Survey, name: str) -> None:
    """As long as gunicorn lets through, all repetitions together."""
    (survey.data / "a.fits").write_bytes(b"SIMPLE  =                    T".ljust(2880))
    number = survey.pipeline.make_image(path=str(survey.data / "a.fits"))
    for address, method in (("/api/v1/images", "GET"), (f"/api/v1/images/{number}/fits", "GET"), ("/console/", "GET"),
                            ("/api/v1/jobs/x/rerun", "POST"), ("/api/v1/images", "OPTIONS")):  # fmt: skip
        with soon(1.0, address), surface.ask(survey.client, address, method, headers={name: WISHES[name]}) as answer:
            assert answer.status_code < 500


# -- files that are not what they seem


def image(survey: Survey, name: str, content: bytes) -> int:
    path = survey.data / name
    path.write_bytes(content)
    return survey.pipeline.make_image(path=str(path))


def header(*cards: bytes, end: bool = True) -> bytes:
    text = b"".join(card.ljust(80) for card in (*CARDS, *cards, *([b"END"] if end else [])))
    return text.ljust(-(-len(text) // 2880) * 2880)


SIZES = [b"NAXIS   =                    2", b"NAXIS1  =           1000000000", b"NAXIS2  =           1000000000"]
FILES = {
    "header-without-end.fits.gz": lambda: gzip.compress(header(end=False) + b" " * 2880 * 10_000, 6),
    "extension-without-end.fits.gz": lambda: gzip.compress(
        header(b"NAXIS   =                    0") + b"XTENSION= 'IMAGE   '".ljust(80) + b" " * 2880 * 10_000, 6
    ),
    "rows-of-gigabytes.fits": lambda: header(*SIZES) + bytes(2880),
    "rows-of-gigabytes.fits.gz": lambda: gzip.compress(header(*SIZES) + bytes(20_000_000), 1),
    "many-axes.fits": lambda: header(
        b"NAXIS   =                  999", *(b"NAXIS%-3d=           1000000000" % n for n in range(1, 1000))
    ),
    "negative.fits": lambda: header(SIZES[0], b"NAXIS1  =                   -1", b"NAXIS2  =                    1"),
    "gzip-in-gzip.fits.gz": lambda: gzip.compress(gzip.compress(bytes(20_000_000), 6), 9),
    "broken.fits.gz": lambda: gzip.compress(header(*SIZES[:1]))[:-20],
}  # fmt: skip


@attack(
    "FITS files that are bombs: headers without end, rows of gigabytes, gzip in gzip",
    "404 or 422, soon, in little memory; of a header, what is sound",
)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FILES)
def test_file_that_is_a_bomb_is_refused_soon(survey: Survey, name: str) -> None:
    number = image(survey, name, FILES[name]())
    cut = "cutout?ra_deg=180&dec_deg=37&size_arcsec=60"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for what in ("header", "thumbnail", "preview.png", cut, f"{cut}&format=fits", "animation"):
        with soon(3.0, what), surface.ask(survey.client, f"/api/v1/images/{number}/{what}") as answer:
            assert answer.status_code in {404, 422} or what == "header", (what, answer.data[:300])
            assert answer.status_code < 500, (what, answer.data[:300])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150_000, "kB, most of it what draws"


@attack(
    "a compressed header without end",
    "given up after a part of it; of a file whose first header is sound, that one is told",
)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [name for name in FILES if "without-end" in name])
def test_header_without_end_is_not_read_to_its_end(survey: Survey, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    number = image(survey, f"again-{name}", FILES[name]())
    given: list[int] = []
    read = gzip.GzipFile.read

    def counted(file: gzip.GzipFile, size: int | None = -1) -> bytes:
        data = read(file, size)
        given.append(len(data))
        return data

    monkeypatch.setattr(gzip.GzipFile, "read", counted)
    # Of a file whose first header is sound, that much is told.
    answer = surface.ask(survey.client, f"/api/v1/images/{number}/header")
    assert answer.status_code == (200 if "extension" in name else 422)
    assert 1_000_000 < sum(given) < 10_000_000, "of 29 MB"
