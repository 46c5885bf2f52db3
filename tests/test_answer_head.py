"""Ordinary heads are read in one go, and as the parser reads them."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway import answer_head
from gateway.answer_head import Headers
from tests.test_answer_bytes import OK, read

LINES = st.sampled_from(
    [
        *(b"content-length: 5", b"Content-Length:5 ", b"content-length: 05", b"content-length: 4", b"content-length:"),
        *(b"content-length: +5", b"content-length: 5, 5", b"content-length : 5", b" content-length: 5", b"x-length: 5"),
        *(b"connection: keep-alive", b"Connection: Keep-Alive", b"connection: close", b"connection: keep-alive, close"),
        *(b"proxy-connection: close", b"proxy-connection: keep-alive", b"connection:", b"upgrade: h2c"),
        *(b"connection: upgrade", b"transfer-encoding: chunked", b"Transfer-Encoding:identity", b"transfer-encoding:"),
        *(b"content-encoding: identity", b"content-encoding: gzip", b"x: \xe4", b"x: \xc3\xa4", b"x:\ta\t", b"X:"),
        *(
            b"x: 1\r\n 2",
            b"x: 1\n2",
            b"x: 1\r2",
            b"x: \x00",
            b"x\x00: 1",
            b"x y: 1",
            b": 1",
            b"x",
            b"\xe4: 1",
            b"x;: 1",
        ),
        *(b"trailer: x", b"keep-alive: timeout=5", b"date: today", b"x: \x7f", b"x: 1\r", b"te: trailers"),
    ]
)
STARTS = st.sampled_from(
    [
        *(
            b"HTTP/1.1 200 OK",
            b"HTTP/1.1 200 ",
            b"HTTP/1.1 200",
            b"HTTP/1.0 200 OK",
            b"HTTP/1.1 204 No",
            b"HTTP/1.1 304 ",
        ),
        *(b"HTTP/1.1 100 Continue", b"HTTP/1.1 103 Hints", b"HTTP/1.1 500 \xe4", b"HTTP/1.1 599 ?", b"HTTP/1.1 600 ?"),
        *(b"HTTP/1.1  200 OK", b"http/1.1 200 OK", b"HTTP/1.1 200 O\x00K", b"HTTP/2.0 200 OK", b"HTTP/1.1 2000 OK"),
    ]
)


@given(STARTS, st.lists(LINES, max_size=4), st.sampled_from([b"", b"hello", b"hello more", b"5\r\nhello\r\n0\r\n\r\n"]))
@example(b"HTTP/1.1 200 OK", [b"content-length: 5", b"connection: keep-alive"], b"hello")
@example(b"HTTP/1.1 200 OK", [b"content-length: 5", b"content-length: 5"], b"hello")
@example(b"HTTP/1.1 200 OK", [b"transfer-encoding: chunked", b"content-length: 5"], b"hello")
def test_as_the_parser(start: bytes, lines: list[bytes], body: bytes) -> None:
    """An answer whose head comes whole is what it is when its first byte comes alone, and ends the connection alike."""
    raw = b"\r\n".join([start, *lines, b"", body])

    assert read([raw[:1], raw[1:]]) == read([raw])


@pytest.mark.parametrize(
    "head",
    [
        OK + b"content-length: 5\r\n\r\n",
        OK + b"Server: nginx\r\nContent-Length: 5\r\nConnection: keep-alive\r\nX-A: \xe4\r\n\r\n",
        b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 5\r\n\r\n",
    ],
)
def test_ordinary(head: bytes) -> None:
    """What services and proxies send is read in one go, whatever follows."""
    found = answer_head.read(head + b"hello")

    assert found is not None
    assert (5, len(head)) == (found.length, found.size)


@pytest.mark.parametrize(
    "head",
    [
        OK + b"content-length: 5\r\n",
        OK + b"\r\n",
        OK + b"content-length: 5\r\nconnection: close\r\n\r\n",
        OK + b"content-length: 5\r\ncontent-encoding: gzip\r\n\r\n",
        OK + b"transfer-encoding: chunked\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n",
    ],
    ids=["not whole", "no length", "close", "compressed", "chunks", "interim"],
)
def test_left_to_the_parser(head: bytes) -> None:
    """What asks for more care is not read here."""
    assert answer_head.read(head) is None


def test_headers() -> None:
    """Names are in lower case, values without blanks around them, and those of one name are joined."""
    headers = Headers(b"\r\nX-One: 1\r\nx-one:  2 \r\nNote: a:b\r\nEmpty:")

    assert {"x-one": "1, 2", "note": "a:b", "empty": ""} == headers
    assert ("1, 2", "none", 3) == (headers["x-one"], headers.get("x-two", "none"), len(headers))
