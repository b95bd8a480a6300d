"""When a request is whole: not a byte too early, whatever its pieces, and never waited for without an end."""

from __future__ import annotations

import pytest

from app.web.receiving import Incoming, Pieces, State

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n"
TRAILERS = CHUNKED[:-2] + b"X-Sum: 1\r\n\r\n"


def incoming() -> Incoming:
    return Incoming(longest_line=100, longest_head=400, longest_body=1000)


@pytest.mark.parametrize("request_bytes", [GET, POST, CHUNKED, TRAILERS])
def test_request_is_whole_with_its_last_byte_however_it_comes(request_bytes: bytes) -> None:
    assert incoming().feed(request_bytes) is State.ENOUGH
    trickled = incoming()
    states = [trickled.feed(request_bytes[n : n + 1]) for n in range(len(request_bytes))]
    assert State.ENOUGH not in states[:-1]
    assert states[-1] is State.ENOUGH
    assert bytes(trickled.data) == request_bytes


def test_what_comes_behind_a_request_is_kept() -> None:
    both = incoming()
    assert both.feed(POST + GET) is State.ENOUGH
    assert bytes(both.data) == POST + GET


@pytest.mark.parametrize(
    "head",
    [
        b"POST /a HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST /a HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /a HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST /a HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\n",
        b"POST /a HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n",
        b"GET /" + b"a" * 200,
        b"\r\n\r\n",
    ],
    ids=["two lengths", "length and chunks", "negative", "list", "too long a number", "no size", "long line", "empty"],
)
def test_what_looks_strange_goes_to_the_parser_at_once(head: bytes) -> None:
    assert incoming().feed(head) is State.ENOUGH


def test_body_that_is_too_long_is_not_waited_for() -> None:
    assert incoming().feed(b"POST /a HTTP/1.1\r\nContent-Length: 1001\r\n\r\n") is State.ENOUGH
    assert incoming().feed(b"POST /a HTTP/1.1\r\nContent-Length: 1000\r\n\r\n") is State.BODY
    chunks = incoming()
    chunks.feed(b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    states = [chunks.feed(b"64\r\n" + b"x" * 100 + b"\r\n") for _ in range(40)]
    assert states[0] is State.BODY
    assert states[-1] is State.ENOUGH


def test_head_without_an_end_is_refused() -> None:
    endless = incoming()
    states = [endless.feed(line) for line in (b"GET / HTTP/1.1\r\n", *[b"X-A: aaaaaaaaaaaaaaaaaaaa\r\n"] * 20)]
    assert states[0] is State.HEAD
    assert states[-1] is State.HEAD_TOO_LONG
    assert incoming().feed(GET[:-2] + b"X-A: b\r\n" * 60 + b"\r\n") is State.HEAD_TOO_LONG


def test_client_that_waits_to_be_asked_for_the_body_is_asked_once() -> None:
    asking = incoming()
    head = b"POST /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
    assert asking.feed(head) is State.BODY
    assert asking.wants_to_be_asked
    assert asking.feed(b"hello") is State.ENOUGH
    assert bytes(asking.data) == POST
    at_once = incoming()
    assert at_once.feed(head + b"hello") is State.ENOUGH
    assert bytes(at_once.data) == POST


def test_client_of_http_1_0_is_not_asked() -> None:
    """RFC 9110, section 10.1.1: it would take an interim answer for the answer."""
    asking = incoming()
    assert asking.feed(b"POST /a HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n") is State.BODY
    assert not asking.wants_to_be_asked
    assert asking.feed(b"hello") is State.ENOUGH
    assert bytes(asking.data) == POST.replace(b"HTTP/1.1", b"HTTP/1.0")


def test_trailers_have_an_end() -> None:
    endless = incoming()
    assert endless.feed(b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n") is State.BODY
    fields = 0
    while endless.feed(b"a: b\r\n") is State.BODY:
        fields += 1
    assert 50 < fields < 80


def test_parser_gets_small_pieces_and_larger_ones_only_of_what_it_asks_for() -> None:
    data = bytes(range(256)) * 1000
    pieces = Pieces(data)
    sizes = [len(piece) for piece in (pieces(), pieces(5), pieces(20_000), pieces(10**9))]
    assert sizes == [8_192, 8_192, 20_000, 65_536]
    assert pieces.rest() == data[sum(sizes) :]
    assert not pieces.ended_early
    assert (pieces(), pieces.ended_early) == (b"", True)
