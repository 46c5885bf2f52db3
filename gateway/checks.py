"""What single values of the routing file must look like, each refusal in our words and without the value."""

from __future__ import annotations

import ipaddress
import json
import re
import urllib.parse
from typing import Any, Final


def model_name(name: str) -> str:
    if not name or len(name) > 200 or not name.isprintable() or " " in name:
        raise ValueError("a model's name has 1 to 200 printable characters and no blank")
    return name


def plain_name(name: str) -> str:
    """Of a key or a team: it goes into logs, lists and tables, and must not upset a terminal."""
    if not (name and name == name.strip() and name.isprintable() and len(name) <= 100):
        raise ValueError("must have 1 to 100 printable characters, and no blank at either end")
    return name


def prompt(template: str) -> str:
    if template.count("{text}") != 1:
        raise ValueError("must hold `{text}` exactly once, where the input goes")
    return template


def sha256(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise ValueError("must be a SHA-256 in 64 lower-case hex digits; `gateway keys hash` prints it")
    return text


def moment(value: object) -> object:
    """A date without its dashes is a number, which would count as seconds since 1970."""
    if isinstance(value, int | float) or (isinstance(value, str) and not re.match(r"\d{4}-\d\d-\d\d", value)):
        raise ValueError("must be a date like 2027-01-31")
    return value


def state_url(url: str) -> str:
    if url.startswith(("redis", "unix")):
        return redis_url(url)
    if not re.fullmatch(r"sqlite:///.+", url):
        raise ValueError(
            "must be sqlite:///FILE (relative to this file), sqlite:////FOLDER/FILE, or the URL of a Redis"
        )
    return url


_REDIS: Final = re.compile(
    r"(rediss?|redis\+sentinel|rediss\+sentinel|redis\+cluster|rediss\+cluster)"
    r"://([^/?#@\s]*@)?(?P<hosts>[^/?#@\s]+)(?P<path>/[^?#\s]*)?"
)


def redis_url(url: str) -> str:
    """A list of hosts only where there are several; Sentinel needs to be told the service."""
    match = _REDIS.fullmatch(url)
    if match is None:
        raise ValueError(
            "must be redis://[user:password@]HOST[:PORT][/DATABASE], rediss:// for TLS, "
            "redis+sentinel://HOST,HOST/SERVICE[/DATABASE] or redis+cluster://HOST,HOST"
        )
    kind, parts = match[1], [part for part in (match["path"] or "").split("/") if part]
    hosts = match["hosts"].split(",")
    if len(hosts) > 1 and not kind.endswith(("sentinel", "cluster")):
        raise ValueError("names several hosts; only redis+sentinel:// and redis+cluster:// have them")
    for host in hosts:
        if not _has_address(f"redis://{host}"):
            raise ValueError("has a host without a name, or a port that is none")
    database = parts[1:] if kind.endswith("sentinel") else parts
    if kind.endswith("sentinel") and not parts:
        raise ValueError("must end with the service that the sentinels watch: redis+sentinel://HOST,HOST/SERVICE")
    if kind.endswith("cluster") and parts:
        raise ValueError("must not name a database: a cluster has one")
    if len(database) > 1 or not all(name.isascii() and name.isdigit() for name in database):
        raise ValueError("may end with a database's number only")
    return url


def origin(text: str) -> str:
    if text != "*" and not re.fullmatch(r"https?://[^/\s]+", text):
        raise ValueError("must be an origin like https://app.example.com, without a path, or `*`")
    return text


def http_url(url: str) -> str:
    if not (re.fullmatch(r"https?://[^/\s?#@]+(/[^\s?#]*)?", url) and _has_address(url)):
        raise ValueError("must be an http:// or https:// URL without credentials, query or fragment")
    if url.rstrip("/").endswith("/embeddings"):
        raise ValueError("must end before `/embeddings`, which the gateway adds itself")
    return url


def collector(url: str) -> str:
    """Empty for none."""
    return http_url(url) if url else url


def secure_url(url: str) -> str:
    """Whoever can change what comes from there can be anybody, so it has to come over TLS."""
    if not (re.fullmatch(r"https?://[^/\s?#@]+(/[^\s?#]*)?(\?[^\s#]*)?", url) and _has_address(url)):
        raise ValueError("must be an https:// URL without credentials or fragment")
    if url.startswith("http:") and not _is_loopback(urllib.parse.urlsplit(url).hostname or ""):
        raise ValueError("must be https://, unless it is on this machine")
    return url


def redirect_url(url: str) -> str:
    if not secure_url(url).endswith("/admin/ui/login/oidc") or "?" in url:
        raise ValueError("must be the address of this gateway for browsers, and then /admin/ui/login/oidc")
    return url


def scope(text: str) -> str:
    """https://www.rfc-editor.org/rfc/rfc6749#section-3.3"""
    if not re.fullmatch(r"[\x21\x23-\x5b\x5d-\x7e]+", text):
        raise ValueError("must be one scope: printable ASCII without blanks, quotes and backslashes")
    return text


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def network(text: str) -> str:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        raise ValueError("must be an address or a network like 10.0.0.0/8, without bits behind its length") from None
    return text


def leeway(seconds: float) -> float:
    if seconds > 300:
        raise ValueError("must be at most 5m: tokens would outlive their end by so much")
    return seconds


def proxy_url(url: str) -> str:
    if not (re.fullmatch(r"https?://([^/\s?#@]*@)?[^/\s?#@]+/?", url) and _has_address(url)):
        raise ValueError("must be the http:// or https:// URL of a proxy; special characters in a password as %XX")
    return url


def _has_address(url: str) -> bool:
    try:
        parts = urllib.parse.urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def header_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
        raise ValueError("must be a header name")
    if name.lower() in {"host", "content-length", "transfer-encoding", "connection"}:
        raise ValueError("this header belongs to the HTTP client")
    return name


def header_value(value: str) -> str:
    if not re.fullmatch(r"[\t\x20-\x7e]*", value) or value != value.strip():
        raise ValueError("must be printable ASCII without blanks around it")
    return value


def json_fields(fields: dict[str, Any]) -> dict[str, Any]:
    """YAML knows dates, bytes and infinity; a request body does not."""
    try:
        json.dumps(fields, allow_nan=False)
    except (TypeError, ValueError):
        raise ValueError("must hold only what JSON can say; put quotes around a date") from None
    return fields
