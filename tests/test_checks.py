"""What single values of the routing file must look like."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest

from gateway import checks

ACCEPTED: list[tuple[Callable[[Any], object], object]] = [
    *((checks.model_name, name) for name in ("m", "bge-m3:567m", "BAAI/bge", "v1.5", "日本", "~", "x" * 200)),
    *((checks.prompt, text) for text in ("{text}", "query: {text}", "{text} {title}", "a\n{text}")),
    *((checks.provider, name) for name in ("openai", "static")),
    (checks.sha256, "0123456789abcdef" * 4),
    *((checks.moment, text) for text in ("2027-01-31", "2027-01-31T10:00:00Z", None, [], datetime.date(2027, 1, 31))),
    *((checks.sqlite_url, url) for url in ("sqlite:///gateway.db", "sqlite:////var/lib/g.db", "sqlite:///~/g.db")),
    *((checks.origin, text) for text in ("*", "https://app.example.com", "http://localhost:3000")),
    *((checks.http_url, url) for url in ("http://h", "https://h:1/v1", "http://[::1]:80/v1/", "http://10.0.0.1/a@b")),
    *((checks.proxy_url, url) for url in ("http://h", "https://h:1/", "http://u:p%40@h:3128", "http://u@[::1]:1")),
    *((checks.header_name, name) for name in ("X-Team", "authorization", "expires", "x_1")),
    *((checks.header_value, text) for text in ("", "a b\tc", "Bearer x", "ümlaut".encode().hex())),
    *((checks.json_fields, body) for body in ({}, {"a": [1, 0.5, None, True, {"b": "c"}]})),
]

REFUSED: list[tuple[Callable[[Any], object], object, str]] = [
    *((checks.model_name, name, "1 to 200 printable characters") for name in ("", "a b", "a\n", "x" * 201, "\u200b")),
    *((checks.prompt, text, "`{text}` exactly once") for text in ("", "query:", "{text}{text}", "{ text }")),
    *((checks.provider, name, "there are `openai`, `static`") for name in ("", "OpenAI", "opanai")),
    *(
        (checks.sha256, text, "64 lower-case hex digits")
        for text in ("", "0" * 63, "0" * 65, "A" * 64, "0" * 64 + "\n")
    ),
    *((checks.moment, value, "like 2027-01-31") for value in (20270131, 1.5, True, "20270131", "2027", "soon", "")),
    *(
        (checks.sqlite_url, url, "sqlite:///FILE")
        for url in ("", "gateway.db", "sqlite:///", "sqlite://g", "redis://h")
    ),
    *((checks.origin, text, "an origin") for text in ("", "app.example.com", "https://a/", "https://", "ftp://a")),
    *(
        (checks.http_url, url, "must be an http:// or https:// URL")
        for url in ("", "h", "ftp://h", "http://", "http://u:p@h", "http://h?a", "http://h#a", "http://h /", "HTTP//h")
    ),
    *(
        (checks.http_url, url, "must be an http:// or https:// URL")
        for url in ("http://:80", "http://h:port", "http://h:65536", "http://h:0", "http://[::1", "http://[x]")
    ),
    *(
        (checks.proxy_url, url, "must be the http:// or https:// URL of a proxy")
        for url in ("", "proxy:3128", "socks5://h:1", "http://u:p/q@h", "http://u:p@q@h", "http://h/path", "http://h:x")
    ),
    *((checks.header_name, name, "must be a header name") for name in ("", "a b", "a:b", "ü", "a\n", "${A}")),
    *((checks.header_name, name, "belongs to the HTTP client") for name in ("Host", "Content-Length", "connection")),
    *((checks.header_value, text, "printable ASCII") for text in ("ü", "a\n", "a\r\nb: c", "\x00", " a", "a\t")),
    *(
        (checks.json_fields, {"a": [value]}, "what JSON can say")
        for value in (datetime.date(2027, 1, 31), b"x", float("nan"), float("-inf"))
    ),
]


@pytest.mark.parametrize(("check", "value"), ACCEPTED)
def test_accepted(check: Callable[[Any], object], value: object) -> None:
    """A right value is handed on as it is."""
    actual = check(value)

    assert value is actual


@pytest.mark.parametrize(("check", "value", "words"), REFUSED)
def test_refused(check: Callable[[Any], object], value: object, words: str) -> None:
    """A wrong value is refused with what it should be."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the words are what is tested
        check(value)

    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (checks.model_name, "S3cret "),
        (checks.prompt, "S3cret"),
        (checks.provider, "S3cret"),
        (checks.sha256, "S3cret"),
        (checks.moment, "S3cret"),
        (checks.sqlite_url, "S3cret"),
        (checks.origin, "S3cret"),
        (checks.http_url, "http://u:S3cret@h"),
        (checks.http_url, "http://h:S3cret"),
        (checks.http_url, "http://[S3cret]"),
        (checks.proxy_url, "http://u:S3cret/@h"),
        (checks.proxy_url, "http://h:S3cret"),
        (checks.header_name, "S3cret:"),
        (checks.header_value, "S3cret\n"),
        (checks.json_fields, {"S3cret": b"S3cret"}),
    ],
)
def test_values_are_not_repeated(check: Callable[[Any], object], value: object) -> None:
    """A refusal does not quote what it refuses."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the words are what is tested
        check(value)

    assert "S3cret" not in str(caught.value)
