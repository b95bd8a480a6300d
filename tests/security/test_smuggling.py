"""Requests whose end two readers might see in different places: this server sees it where the RFC does, or refuses.

Each attack hides a second request; behind it comes a good one. If the hidden one is answered, its id shows.

References
----------
RFC 9112, sections 2.2, 5.1, 5.2, 6.1, 6.3 and 7.1
"""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.security.attempts import ATTEMPTS, attack
from tests.support.pipeline import Pipeline
from tests.support.server import Server

pytestmark = pytest.mark.live

KEY = "dsa110_smuggled_key_0123456789abcdef"
HIDDEN = b"GET /api/v1/stats/timeline HTTP/1.1\r\nHost: x\r\nX-Request-ID: HIDDEN\r\n\r\n"
LAST = b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\nX-Request-ID: LAST\r\nConnection: close\r\n\r\n"
LENGTH = len(HIDDEN)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One worker, so that what one request leaves behind meets the next."""
    directory = tmp_path_factory.mktemp("smuggling")
    with (
        Pipeline(directory / "state", "orm") as pipeline,
        Server(directory / "server", pipeline, DSA110_WORKERS="1", DSA110_API_KEYS=KEY) as started,
    ):
        pipeline.make_image()
        yield started


def post(*fields: bytes, body: bytes = b"", target: bytes = b"/api/v1/lightcurves") -> bytes:
    lines = [b"POST " + target + b" HTTP/1.1", b"Host: x", b"Content-Type: application/json", *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunked(body: bytes, *fields: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked", *fields, body=body)


def get(*fields: bytes, line: bytes = b"GET /api/v1/images HTTP/1.1") -> bytes:
    return b"\r\n".join([line, b"Host: x", *fields]) + b"\r\n\r\n"


def told(server: Server, sent: bytes) -> bytes:
    """Everything that the server sends until it hangs up."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(sent + LAST)
        received = b""
        try:
            while piece := connection.recv(65536):
                received += piece
        except ConnectionResetError:  # it hung up with something unread
            pass
    ATTEMPTS.heard(received)
    return received


def statuses(received: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3}) ", received)]


# Refused at once, and with it whatever comes behind.
REFUSED = {
    "length, then chunks": chunked(b"0\r\n\r\n" + HIDDEN, b"Content-Length: %d" % (LENGTH + 5)),
    "chunks, then length": post(
        b"Content-Length: 4", b"Transfer-Encoding: chunked", body=b"%x\r\n%b\r\n0\r\n\r\n" % (LENGTH, HIDDEN)
    ),
    "blank before the colon": post(b"Transfer-Encoding : chunked", b"Content-Length: %d" % LENGTH, body=HIDDEN),
    "tab in the name": post(b"Transfer-\tEncoding: chunked", b"Content-Length: %d" % LENGTH, body=HIDDEN),
    "unknown coding": post(b"Transfer-Encoding: xchunked", b"Content-Length: %d" % LENGTH, body=HIDDEN),
    "vertical tab": post(b"Transfer-Encoding: \x0bchunked", b"Content-Length: %d" % LENGTH, body=HIDDEN),
    "coding twice": chunked(b"0\r\n\r\n" + HIDDEN, b"Transfer-Encoding: identity"),
    "chunked twice": post(b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n" + HIDDEN),
    "chunked is not last": post(b"Transfer-Encoding: chunked, gzip", body=b"0\r\n\r\n" + HIDDEN),
    "coding without chunks": post(b"Transfer-Encoding: gzip", body=HIDDEN),
    "chunks in HTTP/1.0": chunked(b"0\r\n\r\n" + HIDDEN).replace(b"HTTP/1.1", b"HTTP/1.0", 1),
    "two lengths": post(b"Content-Length: 0", b"Content-Length: %d" % LENGTH, body=HIDDEN),
    "the same length twice": post(b"Content-Length: 0", b"Content-Length: 0", body=HIDDEN),
    "list of lengths": post(b"Content-Length: 0, %d" % LENGTH, body=HIDDEN),
    "length with a sign": post(b"Content-Length: +0", body=HIDDEN),
    "negative length": post(b"Content-Length: -1", body=HIDDEN),
    "hexadecimal length": post(b"Content-Length: 0x0", body=HIDDEN),
    "length of two words": post(b"Content-Length: 0 %d" % LENGTH, body=HIDDEN),
    "length of no digits": post(b"Content-Length: \xb2", body=HIDDEN),
    "empty length": post(b"Content-Length: ", body=HIDDEN),
    "folded field": get(b"X-A: b\r\n Transfer-Encoding: chunked") + HIDDEN,
    "lines that end in LF": get().replace(b"\r\n", b"\n") + HIDDEN,
    "LF in a field": get(b"X-A: b\nX-Request-ID: HIDDEN"),
    "CR in a field": get(b"X-A: b\rX-Request-ID: HIDDEN"),
    "NUL in a field": get(b"X-A: a\0b"),
    "two hosts": get(b"Host: y"),
    "blank in the target": get(line=b"GET /api/v1/images HTTP/1.1 HTTP/1.1"),
    "bytes that no address may hold": get(line=b"GET /api/v1/images?\xed\xa0\xff HTTP/1.1"),
    "no version": get(line=b"GET /api/v1/images"),
    "other version": get(line=b"GET /api/v1/images HTTP/3.7"),
    "method in small letters": get(line=b"get /api/v1/images HTTP/1.1"),
    "NUL in the method": get(line=b"G\0T /api/v1/images HTTP/1.1"),
    "preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "line of a proxy": b"PROXY TCP4 8.8.8.8 1.1.1.1 1 2\r\n" + get(),
    "two schemes": get(b"X-Forwarded-Proto: https", b"X-Forwarded-Ssl: off"),
    "expectation": post(b"Expect: the impossible", b"Content-Length: 0"),
    "tunnel": get(line=b"CONNECT evil.example:443 HTTP/1.1") + HIDDEN,
    "endless target": get(line=b"GET /" + b"a" * 9000 + b" HTTP/1.1"),
    "endless field": get(b"A: " + b"a" * 70_000),
    "too many fields": get(*[b"A: a"] * 300),
    "chunk with a sign": chunked(b"-1\r\n{}\r\n0\r\n\r\n" + HIDDEN),
    "chunk in another base": chunked(b"0x2\r\n{}\r\n0\r\n\r\n" + HIDDEN),
    "chunk with an underscore": chunked(b"0_2\r\n{}\r\n0\r\n\r\n" + HIDDEN),
    "chunk that is longer": chunked(b"2\r\n{}XX0\r\n\r\n" + HIDDEN),
    "LF behind an extension": chunked(b"2;a\n{}\r\n0\r\n\r\n" + HIDDEN),
    "framing in a trailer": chunked(b"2\r\n{}\r\n0\r\nContent-Length: 5\r\n\r\n" + HIDDEN),
    "body beyond the bound": post(b"Content-Length: %d" % (2_000_000 + LENGTH), body=b" " * 2_000_000 + HIDDEN),
}
# Read as the RFC says: one answer, then that of the good request.
TAKEN = {
    "field with an underscore": post(b"Transfer_Encoding: chunked", b"Content-Length: %d" % LENGTH, body=HIDDEN),
    "extension of a chunk": chunked(b"2;a=b\r\n{}\r\n0;x\r\n\r\n"),
    "body of a GET": get(b"Content-Length: %d" % LENGTH) + HIDDEN,
    "body of a redirect": post(b"Content-Length: %d" % LENGTH, body=HIDDEN, target=b"/api/v1/images/"),
    "body of what is not there": post(b"Content-Length: %d" % LENGTH, body=HIDDEN, target=b"/nowhere"),
    "body of what is not allowed": post(b"Content-Length: %d" % LENGTH, body=HIDDEN, target=b"/api/v1/cache/clear"),
    "body of an answer from the cache": get() + get(b"Content-Length: %d" % LENGTH) + HIDDEN,
    "upgrade": get(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__"),
    "two keys": post(
        b"X-API-Key: x", b"X-API-Key: " + KEY.encode(), b"Content-Length: 0", target=b"/api/v1/cache/clear"
    ),
    "request echoed": get(b"X-API-Key: " + KEY.encode(), line=b"TRACE /api/v1/images HTTP/1.1"),
    "whole address as target": get(line=b"GET http://evil.example/vo/capabilities HTTP/1.1"),
}


@attack(
    "requests with two ends: CL.TE, TE.CL, CL.0, lengths and codings repeated, signed, folded, "
    "with blanks; bare LF and CR; chunks with signs and trailers; HTTP/1.0, 2 and PROXY",
    "4xx or 501 and the connection closed; the hidden one is never answered",
)
@pytest.mark.parametrize("sent", REFUSED.values(), ids=REFUSED.keys())
def test_what_can_be_read_in_two_ways_is_refused(server: Server, sent: bytes) -> None:
    received = told(server, sent)
    assert b"HIDDEN" not in received
    assert b"LAST" not in received, "it hangs up"
    # A connection that is reset loses what was under way.
    assert [code for code in statuses(received) if not 400 <= code < 500 and code != 501] == []
    assert len(statuses(received)) <= 1


@attack(
    "requests with one end that others may see elsewhere: bodies of a GET, of a redirect, of what is answered "
    "from the cache; extensions of chunks, upgrades, TRACE",
    "one answer for each request; the hidden one is never answered",
)
@pytest.mark.parametrize("sent", TAKEN.values(), ids=TAKEN.keys())
def test_what_can_be_read_in_one_way_hides_nothing(server: Server, sent: bytes) -> None:
    received = told(server, sent)
    assert b"HIDDEN" not in received
    assert b"evil.example" not in received
    assert received.count(b"X-Request-ID: LAST") == 1
    assert statuses(received)[-1] == 200
    assert len(statuses(received)) == (3 if b"cache" not in sent and sent.count(b"GET /api/v1/images") == 2 else 2)
    assert KEY.encode() not in received


@attack("`SCRIPT_NAME` and `PATH_INFO` as fields", "not read")
def test_nobody_says_under_which_prefix_the_service_lies(server: Server) -> None:
    """gunicorn would believe it from this machine, and lead clients elsewhere."""
    received = told(server, get(b"SCRIPT_NAME: //evil.example", line=b"GET //evil.example/api/v1/images/ HTTP/1.1"))
    assert statuses(received) == [404, 200]
    received = told(server, get(b"SCRIPT_NAME: /other", b"PATH_INFO: /metrics"))
    assert statuses(received) == [200, 200]
    assert b"000001.fits" in received


@attack("`X_Forwarded_For`, which many read as the other", "not read")
def test_address_with_an_underscore_is_nobodys(server: Server) -> None:
    received = told(server, get(b"X_Forwarded_For: 8.8.8.8") + get(b"X-Forwarded-For: 8.8.8.8"))
    assert statuses(received) == [200, 403, 200]


@attack("a write whose body cannot be read, to stay out of the audit log", "it is in the log")
def test_write_is_in_the_audit_log_whatever_its_body(server: Server) -> None:
    """Chunks that cannot be read are met before the write is admitted, and once more while the log's line is made."""
    key = b"X-API-Key: " + KEY.encode()
    fields = [
        b"POST /api/v1/cache/clear HTTP/1.1",
        b"Host: x",
        key,
        b"X-Request-ID: WRITE",
        b"Transfer-Encoding: chunked",
    ]
    received = told(server, b"\r\n".join(fields) + b"\r\n\r\nnonsense\r\n\r\n")
    assert statuses(received) == [400], received
    audit = Path(server.directory / "state" / "api" / "api.sqlite3")
    assert b"/api/v1/cache/clear" in audit.read_bytes() + audit.with_name("api.sqlite3-wal").read_bytes()


@attack(
    "keys in what is no HTTP: a field without its colon, an odd request line, method, version or expectation",
    "4xx, and not a word of it in the log",
)
def test_key_in_what_cannot_be_read_is_not_logged(server: Server) -> None:
    key = KEY.encode()
    wrong = {
        "InvalidHeader": get(b"X-API-Key " + key),
        "InvalidHeaderName": get(b"X-API-Key(" + key + b"): x"),
        "InvalidRequestLine": get(line=b"GET /api/v1/images?api_key=" + key),
        "InvalidRequestMethod": get(line=b"{" + key + b"} /api/v1/images HTTP/1.1"),
        "InvalidHTTPVersion": get(line=b"GET /api/v1/images HTTP/" + key),
        "ExpectationFailed": get(b"Expect: " + key),
    }
    for sent in wrong.values():
        assert [code for code in statuses(told(server, sent)) if not 400 <= code < 500] == []
    deadline = time.monotonic() + 5
    while not all(f": {name}" in server.log for name in wrong) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [name for name in wrong if f"Invalid request from ip=127.0.0.1: {name}" not in server.log] == []
    assert KEY not in server.log


@attack("what all this leaves in the log of the server", "whole records; no secret, no defect")
def test_log_is_of_whole_records_without_secrets_and_defects(server: Server) -> None:
    """Stands last: by now the log has seen everything above, of which a part comes again, should this run alone."""
    for sent in list(REFUSED.values())[::6]:
        told(server, sent)
    records = [json.loads(line) for line in server.log.splitlines()]
    assert records
    assert [record for record in records if record["level"] in {"ERROR", "CRITICAL"}] == []
    assert KEY not in server.log
