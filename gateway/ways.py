"""How a server is reached: straight or through an HTTP proxy, with TLS or without, up to an open connection.

A proxy is asked for the whole URL of a server without TLS, and for a tunnel to one with TLS.
https://www.rfc-editor.org/rfc/rfc9110#name-connect
"""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
import urllib.parse
from dataclasses import dataclass, field
from typing import Final, Self

from gateway import destination, dialing
from gateway.channel import Channel
from gateway.destination import Origin
from gateway.dialing import Opened, Opening
from gateway.request_bytes import USER_AGENT
from providers.base import Fault

_AGREED: Final = re.compile(rb"HTTP/1\.[01] 2[0-9][0-9][ \r].*?\r\n\r\n", re.DOTALL)


class ProxyError(OSError):
    """The proxy makes no tunnel."""


@dataclass(frozen=True, slots=True)
class Proxy:
    origin: Origin
    authorization: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, url: str) -> Self:
        """From http(s)://USER:PASSWORD@HOST:PORT; raises ValueError."""
        parts = urllib.parse.urlsplit(url)
        found = destination.of(url)
        if isinstance(found, Fault):
            raise ValueError(found.message)
        if parts.username is None:
            return cls(found.origin)
        words = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        return cls(found.origin, f"Basic {base64.b64encode(words.encode()).decode()}")


@dataclass(frozen=True, slots=True)
class Way:
    """`tls` verifies servers, `proxy_tls` a proxy that itself speaks TLS: its certificate is no target's."""

    tls: ssl.SSLContext
    proxy: Proxy | None
    proxy_tls: ssl.SSLContext | None

    def is_absolute(self, origin: Origin) -> bool:
        """Whether requests name the whole URL, for a proxy to read."""
        return self.proxy is not None and not origin.secure

    async def open(self, origin: Origin, connection: Channel) -> None:
        """Raises ProxyError, or OSError when there is no way to the server, or it is not to be trusted."""
        first = origin if self.proxy is None else self.proxy.origin
        transport, opening = await dialing.connected(first.host, first.port)
        try:
            if self.proxy is not None:
                if self.proxy_tls is not None:
                    transport = await _secured((transport, opening), self.proxy_tls, first)
                if origin.secure:
                    await _tunnel(transport, opening, origin, self.proxy.authorization)
            if origin.secure:
                connection.connection_made(await _secured((transport, opening), self.tls, origin, connection))
            else:
                transport.set_protocol(connection)
                connection.connection_made(transport)
            if opening.heard or transport.is_closing():
                raise ConnectionError("it spoke before it was asked, or closed the connection")
        except BaseException:
            transport.abort()
            raise


async def _secured(
    opened: Opened, tls: ssl.SSLContext, origin: Origin, protocol: asyncio.BaseProtocol | None = None
) -> asyncio.Transport:
    transport, opening = opened
    name = origin.host.removesuffix(".")
    secured = await asyncio.get_running_loop().start_tls(transport, protocol or opening, tls, server_hostname=name)
    if secured is None:
        raise ConnectionError("the connection was closed")
    return secured


async def _tunnel(transport: asyncio.Transport, opening: Opening, origin: Origin, authorization: str | None) -> None:
    lines = [f"CONNECT {origin.authority} HTTP/1.1", f"host: {origin.authority}", f"user-agent: {USER_AGENT}"]
    if authorization is not None:
        lines.append(f"proxy-authorization: {authorization}")
    transport.write("\r\n".join([*lines, "", ""]).encode("ascii"))
    if not _AGREED.fullmatch(await opening.head()):  # nothing may follow it: the server has not been spoken to yet
        raise ProxyError("the proxy refused")
    opening.heard = b""
