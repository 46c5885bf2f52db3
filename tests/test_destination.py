"""Where URLs lead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import destination
from gateway.destination import Destination, Origin
from gateway.exchange_faults import BAD_URL


@pytest.mark.parametrize(
    ("url", "origin", "host", "target"),
    [
        ("http://host/v1", Origin("http", "host", 80), "host", "/v1"),
        ("HTTPS://Host.Example:443", Origin("https", "host.example", 443), "host.example", "/"),
        ("https://host:8443/a?b=c&d=%20#e", Origin("https", "host", 8443), "host:8443", "/a?b=c&d=%20"),
        ("http://user:secret@host/", Origin("http", "host", 80), "host", "/"),
        ("http://[::1]:8080/a b".replace(" ", "%20"), Origin("http", "::1", 8080), "[::1]:8080", "/a%20b"),
        ("https://münchen.example/ü?ä", Origin("https", "xn--mnchen-3ya.example", 443), None, "/%C3%BC?%C3%A4"),
        ("https://straße.example/", Origin("https", "xn--strae-oqa.example", 443), None, "/"),
    ],
)
def test_destination(url: str, origin: Origin, host: str | None, target: str) -> None:
    """A URL names a server, how that one is addressed, and what is asked of it."""
    assert Destination(origin, host or origin.host, target) == destination.of(url)


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://host/", "host/v1", "//host/", "http://", "http:///v1", "http://host:port/", "http://host:0/"),
        *(
            "http://host:70000/",
            "http://a\0b/",
            "http://a b/",
            "http://host/a\r\nb",
            "http://host/a b",
            "http://[::g]/",
        ),
        *(
            "http://[::1/",
            "http://xn--\u00fc/",
            f"http://{'ü' * 70}/",
            "http://\u00ad/",
            "http://a..b\u00fc/",
            "http://%41/",
        ),
    ],
)
def test_bad_url(url: str) -> None:
    """What names no server that there can be, or could smuggle something into a request line, is refused."""
    assert BAD_URL == destination.of(url)


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_url(host: str, path: str) -> None:
    """Whatever the URL, there is an answer, and what goes on the wire is one word of printable ASCII."""
    found = destination.of(f"http://{host}/{path}")

    assert found == BAD_URL or (
        isinstance(found, Destination) and all("!" <= sign <= "~" for sign in found.target + found.host)
    )
