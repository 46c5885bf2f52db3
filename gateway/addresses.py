"""Where a request came from: the peer's address, or what the proxies that are trusted say of it. It reads no socket."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

UNKNOWN: Final = "unknown"
_SUBSCRIBER_BITS: Final = 64
"""Whoever has one address of IPv6 has at least a /64 of them: https://www.rfc-editor.org/rfc/rfc6177#section-2"""


@dataclass(frozen=True, slots=True)
class Source:
    """The peer of a connection, and the `X-Forwarded-For` headers of a request, in their order."""

    peer: str | None
    forwarded_for: Sequence[str] = ()


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


def client(source: Source, trusted: Sequence[Network]) -> str:
    """Whose attempts are counted together: an address of IPv4, or a /64 of IPv6.

    Each proxy appends the address that it was called from, so the list is believed from its end, for as long as
    whoever appended to it is trusted. What a client wrote into it itself lies further left, and is never reached.
    """
    found = _address(source.peer or "")
    if found is None:
        return UNKNOWN
    for hop in _nearest_first(source.forwarded_for):
        if not any(found in network for network in trusted):
            break
        before = _address(hop)
        if before is None:
            break
        found = before
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(found), _SUBSCRIBER_BITS), strict=False))
    return str(found)


def _nearest_first(forwarded_for: Sequence[str]) -> Iterator[str]:
    for header in reversed(forwarded_for):
        yield from reversed(header.split(","))


def _address(text: str) -> Address | None:
    """An address as proxies write it: with or without a port, that of IPv6 perhaps in brackets."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
