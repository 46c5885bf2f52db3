"""Heads of requests, and what does not get into them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import destination, request_bytes
from gateway.destination import Destination
from gateway.exchange_faults import BAD_HEADERS
from gateway.request_bytes import USER_AGENT
from providers.base import Fault, Request


def head(
    headers: dict[str, str], method: str = "POST", body: bytes = b"", absolute: bool = False, proxy: str | None = None
) -> bytes | Fault:
    where = destination.of("http://host:81/a?b")
    assert isinstance(where, Destination)
    return request_bytes.head(Request(method, "http://host:81/a?b", headers, body), where, absolute, proxy)


def test_head() -> None:
    """What HTTP needs is there, and that the answer shall not be compressed."""
    assert (
        b"POST /a?b HTTP/1.1\r\nhost: host:81\r\nx-a: 1\r\nuser-agent: %b\r\naccept-encoding: identity\r\n"
        b"content-length: 2\r\n\r\n" % USER_AGENT.encode()
    ) == head({"x-a": "1"}, body=b"{}")


def test_own_headers() -> None:
    """A request's own host, agent and encodings stand, its own framing does not."""
    own = {"Host": "other", "User-Agent": "me", "Accept-Encoding": "gzip", "Content-Length": "9", "Connection": "close"}

    assert (
        b"GET /a?b HTTP/1.1\r\nHost: other\r\nUser-Agent: me\r\nAccept-Encoding: gzip\r\nTransfer-X: 1\r\n\r\n"
        == head({**own, "Transfer-Encoding": "chunked", "Transfer-X": "1"}, "GET")
    )


@pytest.mark.parametrize(("absolute", "expected"), [(True, True), (False, False)])
def test_for_a_proxy(absolute: bool, expected: bool) -> None:
    """Only a proxy is told the whole URL and the proxy's own password."""
    made = head({}, absolute=absolute, proxy="Basic eA==")

    assert isinstance(made, bytes)
    assert (expected, expected) == (
        made.startswith(b"POST http://host:81/a?b HTTP/1.1\r\n"),
        b"proxy-authorization: Basic eA==" in made,
    )


@given(st.text(min_size=1, max_size=20), st.text(max_size=40))
def test_no_line_is_smuggled_in(name: str, value: str) -> None:
    """Whatever a header holds, the head has exactly the lines that it should have, or is not sent."""
    made = head({name: value})

    assert made == BAD_HEADERS or (isinstance(made, bytes) and made.count(b"\n") == made.count(b"\r\n") <= 7)


@pytest.mark.parametrize(
    "headers",
    [{"x": "1\r\ny: 2"}, {"x": "1\n"}, {"x": "1\r"}, {"x": "\0"}, {"x": "€"}, {"x y": "1"}, {"": "1"}, {"x:": "1"}],
)
def test_bad_headers(headers: dict[str, str]) -> None:
    """What is no header is refused."""
    assert BAD_HEADERS == head(headers)


def test_bad_method() -> None:
    """A method is one word."""
    assert BAD_HEADERS == head({}, "POST /x HTTP/1.1\r\nx: 1\r\n\r\nGET")
