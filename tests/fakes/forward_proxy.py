"""A small HTTP proxy on this machine that remembers where it was asked to go; it asks nobody for a password.

https://www.rfc-editor.org/rfc/rfc9110#name-connect, https://www.rfc-editor.org/rfc/rfc9112#name-absolute-form
"""

from __future__ import annotations

import asyncio
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Coroutine
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from anyio.from_thread import start_blocking_portal

from tests.fakes.conversing import conversing
from tests.fakes.serving import Closing


@dataclass(frozen=True, slots=True)
class Errand:
    """Where a request wants to go, and what each side is told once the way is open."""

    host: str
    port: int
    to_client: bytes
    to_upstream: bytes


def errand(head: bytes) -> tuple[str, Errand]:
    """Reads a request's head; the target comes as it was written: HOST:PORT or a URL."""
    request_line, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    method, target, version = request_line.split(" ")
    if method == "CONNECT":
        host, _, port = target.rpartition(":")
        return target, Errand(host, int(port), b"HTTP/1.1 200 Connection established\r\n\r\n", b"")
    url = urlsplit(target)
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    # One request a connection: the next one would go through unread.
    kept = [line for line in lines if not line.lower().startswith(("connection:", "proxy-"))] + ["Connection: close"]
    onward = "\r\n".join([f"{method} {path} {version}", *kept, "", ""])
    return target, Errand(url.hostname or "", url.port or 80, b"", onward.encode("latin-1"))


class ForwardProxy(Closing):
    """Tunnels CONNECT and forwards absolute-form requests, from entering to leaving; with a certificate, over TLS."""

    def __init__(self, certificate: Path | None = None) -> None:
        self._certificate = certificate
        self.seen: list[str] = []
        """CONNECT's HOST:PORT, or the absolute URL, of each request."""
        self.heads: list[bytes] = []
        """The whole head of each request."""
        self.url = ""
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            portal = stack.enter_context(start_blocking_portal())
            port = stack.enter_context(portal.wrap_async_context_manager(self._serving()))
            self.url = f"{'https' if self._certificate else 'http'}://127.0.0.1:{port}"
            self._stack = stack.pop_all()
        return self

    @asynccontextmanager
    async def _serving(self) -> AsyncIterator[int]:
        tls = None
        if self._certificate is not None:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(self._certificate)
        async with conversing(self._converse, tls) as port:
            yield port

    async def _converse(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            target, way = errand(head)
            self.heads.append(head)
            self.seen.append(target)
            upstream_reader, upstream_writer = await asyncio.open_connection(way.host, way.port)
            try:
                writer.write(way.to_client)
                upstream_writer.write(way.to_upstream)
                await _first_of(_pour(reader, upstream_writer), _pour(upstream_reader, writer))
            finally:
                upstream_writer.close()
        except asyncio.IncompleteReadError:
            pass  # a connection that was opened and never used
        except OSError:
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        finally:
            writer.close()


async def _pour(reader: StreamReader, writer: StreamWriter) -> None:
    with suppress(OSError):  # either side may go away at any time
        while chunk := await reader.read(65_536):
            writer.write(chunk)
            await writer.drain()


async def _first_of(*ways: Coroutine[None, None, None]) -> None:
    """When one direction has ended, so has the other: no HTTP client closes half a connection."""
    tasks = [asyncio.create_task(way) for way in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
