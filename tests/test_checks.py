"""What single values of the routing file must look like."""

from __future__ import annotations

import datetime
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from gateway import checks

Check = Callable[[Any], object]

ACCEPTED: dict[Check, list[object]] = {
    checks.model_name: ["m", "bge-m3:567m", "BAAI/bge", "v1.5", "日本", "~", "x" * 200],
    checks.plain_name: ["a", "a b", "o'brien", "名前", "🔑", "key_1", "-", "x" * 100],
    checks.prompt: ["{text}", "query: {text}", "{text} {title}", "a\n{text}"],
    checks.sha256: ["0123456789abcdef" * 4],
    checks.moment: ["2027-01-31", "2027-01-31T10:00:00Z", None, [], datetime.date(2027, 1, 31)],
    checks.state_url: ["sqlite:///gateway.db", "sqlite:////var/lib/g.db", "sqlite:///~/g.db", "redis://h"],
    checks.redis_url: [
        *("redis://h", "redis://h:6379/0", "rediss://u:p%40@h:1/15", "redis://:p@[::1]:1"),
        *("redis+sentinel://a,b:26379/main", "rediss+sentinel://a/main/2", "redis+cluster://a:1,b:2,[::1]:3"),
    ],
    checks.origin: ["*", "https://app.example.com", "http://localhost:3000"],
    checks.http_url: ["http://h", "https://h:1/v1", "http://[::1]:80/v1/", "http://10.0.0.1/a@b"],
    checks.secure_url: [
        *("https://h/jwks.json", "https://h:1", "https://h/a/b?p=policy", "http://127.0.0.1:1/k", "http://[::1]/k"),
        *("http://localhost:8080/k", "http://127.255.0.1/k"),
    ],
    checks.redirect_url: ["https://h/admin/ui/login/oidc", "http://localhost:1/g/admin/ui/login/oidc"],
    checks.collector: ["", "http://collector:4318", "https://traces.example.com/v1"],
    checks.scope: ["openid", "https://graph.microsoft.com/.default"],
    checks.network: ["10.0.0.0/8", "192.0.2.1", "fd00::/8", "::1", "0.0.0.0/0"],
    checks.leeway: [0.001, 30.0, 300.0],
    checks.proxy_url: ["http://h", "https://h:1/", "http://u:p%40@h:3128", "http://u@[::1]:1"],
    checks.header_name: ["X-Team", "authorization", "expires", "x_1"],
    checks.header_value: ["", "a b\tc", "Bearer x", "~!"],
    checks.json_fields: [{}, {"a": [1, 0.5, None, True, {"b": "c"}]}],
}

REFUSED: dict[tuple[Check, str], list[object]] = {
    (checks.model_name, "1 to 200 printable characters"): ["", "a b", "a\n", "x" * 201, "\u200b"],
    (checks.plain_name, "1 to 100 printable characters"): ["", " ", " a", "a ", "a\n", "\u202e", "\x1b[31m", "x" * 101],
    (checks.prompt, "`{text}` exactly once"): ["", "query:", "{text}{text}", "{ text }"],
    (checks.sha256, "64 lower-case hex digits"): ["", "0" * 63, "0" * 65, "A" * 64, "0" * 64 + "\n"],
    (checks.moment, "like 2027-01-31"): [20270131, 1.5, True, "20270131", "2027", "soon", ""],
    (checks.collector, "http://"): ["collector:4318", "grpc://collector:4317", " "],
    (checks.state_url, "sqlite:///FILE"): ["", "gateway.db", "sqlite:///", "sqlite://g", "mysql://h"],
    (checks.redis_url, "must be redis://"): [
        "redis://",
        "redis://h /0",
        "redis://h?a=1",
        "redis+tls://h",
        "redis://u@v@h",
    ],
    (checks.redis_url, "several hosts"): ["redis://a,b", "rediss://a,b/0"],
    (checks.redis_url, "without a name"): ["redis://:6379", "redis://h:port", "redis+cluster://a,", "redis://h:0"],
    (checks.redis_url, "service"): ["redis+sentinel://a", "redis+sentinel://a/"],
    (checks.redis_url, "a cluster has one"): ["redis+cluster://a/0"],
    (checks.redis_url, "database's number"): ["redis://h/x", "redis://h/0/1", "redis+sentinel://a/main/x"],
    (checks.origin, "an origin"): ["", "app.example.com", "https://a/", "https://", "ftp://a"],
    (checks.http_url, "must be an http:// or https:// URL"): [
        *("", "h", "ftp://h", "http://", "http://u:p@h", "http://h?a", "http://h#a", "http://h /", "HTTP//h"),
        *("http://:80", "http://h:port", "http://h:65536", "http://h:0", "http://[::1", "http://[x]", "http://h\n"),
    ],
    (checks.secure_url, "must be an https:// URL"): [
        *("", "h/k", "ftp://h/k", "https://", "https://u:p@h/k", "https://h/k#a", "https://h/ k", "https://h:0/k"),
        *("file:///etc/keys", "https://h/k\n"),
    ],
    (checks.secure_url, "unless it is on this machine"): [
        *("http://h/k", "http://10.0.0.1/k", "http://localhost.example.com/k", "http://127.0.0.1.example.com/k"),
        *("http://[::2]/k", "http://0.0.0.0/k", "http://2130706433/k"),
    ],
    (checks.redirect_url, "and then /admin/ui/login/oidc"): [
        *("https://h/", "https://h/admin/ui/login/oidc/", "https://h/?/admin/ui/login/oidc"),
    ],
    (checks.scope, "must be one scope"): ["", "a b", 'a"', "a\\", "ü"],
    (checks.network, "must be an address or a network"): ["", "10.0.0.1/8", "h", "10.0.0.0/33", "10.0.0", "*"],
    (checks.leeway, "at most 5m"): [300.1, 1e9],
    (checks.proxy_url, "must be the http:// or https:// URL of a proxy"): [
        *("", "proxy:3128", "socks5://h:1", "http://u:p/q@h", "http://u:p@q@h", "http://h/path", "http://h:x"),
    ],
    (checks.header_name, "must be a header name"): ["", "a b", "a:b", "ü", "a\n", "${A}"],
    (checks.header_name, "belongs to the HTTP client"): ["Host", "Content-Length", "connection"],
    (checks.header_value, "printable ASCII"): ["ü", "a\n", "a\r\nb: c", "\x00", " a", "a\t"],
    (checks.json_fields, "what JSON can say"): [
        {"a": [value]} for value in (datetime.date(2027, 1, 31), b"x", float("nan"), float("-inf"))
    ],
}


@pytest.mark.parametrize(("check", "value"), [(check, value) for check, values in ACCEPTED.items() for value in values])
def test_accepted(check: Check, value: object) -> None:
    """A right value is handed on as it is."""
    actual = check(value)

    assert value is actual


@pytest.mark.parametrize(
    ("check", "words", "value"), [(*about, value) for about, values in REFUSED.items() for value in values]
)
def test_refused(check: Check, words: str, value: object) -> None:
    """A wrong value is refused with what it should be."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the words are what is tested
        check(value)

    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (checks.model_name, "S3cret "),
        (checks.prompt, "S3cret"),
        (checks.sha256, "S3cret"),
        (checks.moment, "S3cret"),
        (checks.state_url, "S3cret"),
        (checks.redis_url, "redis://u:S3cret@h:x"),
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
def test_values_are_not_repeated(check: Check, value: object) -> None:
    """A refusal does not quote what it refuses."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the words are what is tested
        check(value)

    assert "S3cret" not in str(caught.value)


def test_every_check_is_tested() -> None:
    """Each check of the room has values that it accepts beside some that it refuses."""
    expected = {check for name, check in vars(checks).items() if inspect.isfunction(check) and not name.startswith("_")}

    assert [expected, expected] == [set(ACCEPTED), {check for check, _ in REFUSED}]
