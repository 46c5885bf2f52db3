"""Where a URL leads: host, port, and what the request line and the `Host` header say. It connects to nothing.

https://www.rfc-editor.org/rfc/rfc9112#name-request-target, https://www.rfc-editor.org/rfc/rfc5891
"""

from __future__ import annotations

import functools
import ipaddress
import re
import urllib.parse
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import idna

from gateway.exchange_faults import BAD_URL
from providers.base import Fault

PORTS: Final = {"http": 80, "https": 443}
_UNPRINTABLE: Final = re.compile(r"[\x00-\x20\x7f]")
_LABELS: Final = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")
_KEPT: Final = "%/?:@!$&'()*+,;=-._~[]"
"""Everything else of a path or a query is sent as %XX, what is already so stays as it is."""


class Origin(NamedTuple):
    """The server, which connections are kept by. `host` is a name in ASCII, or an address without brackets."""

    scheme: str
    host: str
    port: int

    @property
    def secure(self) -> bool:
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """HOST:PORT, as a proxy is asked for it."""
        return f"{_bracketed(self.host)}:{self.port}"


@dataclass(frozen=True, slots=True)
class Destination:
    """`target` is the path with its query, `host` what the header of that name says: the port only where unusual."""

    origin: Origin
    host: str
    target: str = field(repr=False)

    @property
    def absolute(self) -> str:
        return f"{self.origin.scheme}://{self.host}{self.target}"


@functools.lru_cache(maxsize=1024)
def of(url: str) -> Destination | Fault:
    """BAD_URL for what is no http or https URL, or names no host that there can be."""
    try:
        if _UNPRINTABLE.search(url):
            return BAD_URL
        parts = urllib.parse.urlsplit(url)
        port = parts.port
        host = _ascii(parts.hostname or "")
        path = urllib.parse.quote(parts.path or "/", safe=_KEPT)
        query = urllib.parse.quote(parts.query, safe=_KEPT)
    except ValueError:  # idna's errors and those of Unicode are such
        return BAD_URL
    if parts.scheme not in PORTS or not host or port == 0 or not path.startswith("/"):
        return BAD_URL
    usual = PORTS[parts.scheme]
    origin = Origin(parts.scheme, host, port or usual)
    named = _bracketed(host) if origin.port == usual else origin.authority
    return Destination(origin, named, f"{path}?{query}" if query else path)


def _ascii(host: str) -> str:
    """An address as it is, a name in the form that the DNS knows; raises ValueError where it can be neither."""
    if ":" in host:
        return str(ipaddress.IPv6Address(host))
    if not host.isascii():
        host = idna.encode(host, uts46=True).decode("ascii")
    if not _LABELS.fullmatch(host):
        raise ValueError(host)
    return host


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
