"""Where a Redis is: the parts of a `state.url` that `checks.redis_url` has found good."""

from __future__ import annotations

import urllib.parse
from dataclasses import dataclass, field
from typing import Final, Literal, Self

Kind = Literal["alone", "sentinel", "cluster"]
PORT: Final = 6379
SENTINEL_PORT: Final = 26379


@dataclass(frozen=True, slots=True)
class Address:
    """`hosts` are of the Redis itself, of the sentinels, or of some nodes of a cluster."""

    kind: Kind
    tls: bool
    hosts: tuple[tuple[str, int], ...]
    name: str
    """The URL without user and password, for an operator to read."""
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    service: str = ""
    """Whose master the sentinels know."""
    database: int = 0

    @classmethod
    def of(cls, url: str, password: str | None) -> Self:
        scheme, _, rest = url.partition("://")
        login, _, rest = rest.rpartition("@")
        transport, _, found = scheme.partition("+")
        kind: Kind = {"sentinel": "sentinel", "cluster": "cluster"}.get(found, "alone")  # type: ignore[assignment]
        hosts, _, path = rest.partition("/")
        parts = [urllib.parse.unquote(part) for part in path.split("/") if part]
        port = SENTINEL_PORT if kind == "sentinel" else PORT
        return cls(
            kind=kind,
            tls=transport == "rediss",
            hosts=tuple(_host(host, port) for host in hosts.split(",")),
            name=f"{scheme}://{rest}",
            user=urllib.parse.unquote(login) or None,
            password=password,
            service=parts.pop(0) if kind == "sentinel" else "",
            database=int(parts[0]) if parts else 0,
        )


def _host(text: str, default_port: int) -> tuple[str, int]:
    parts = urllib.parse.urlsplit(f"//{text}")
    return parts.hostname or "", parts.port or default_port
