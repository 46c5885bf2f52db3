"""One request to an upstream before a deadline, as a whole `Response` or a `Fault`: the only httpx.

It never follows a redirect, keeps no cookie, verifies TLS, and reads no more than a set size.
Calls go through httpx's transport and not through its client, which would add cookies, redirects and 0.1 ms.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

import httpx

from providers.base import Fault, FaultKind, Request, Response

CONNECT_SECONDS: Final = 5.0
_LIMITS: Final = httpx.Limits(max_connections=None, max_keepalive_connections=100, keepalive_expiry=30.0)
"""How many connections there may be is decided by the targets' `max_concurrency`, not here."""

FAULTS: Final[Mapping[type[Exception], tuple[FaultKind, str]]] = {
    httpx.ConnectTimeout: (FaultKind.OVERLOADED, "no connection could be made in time"),
    httpx.ConnectError: (FaultKind.OVERLOADED, "no connection could be made"),
    httpx.ProxyError: (FaultKind.OVERLOADED, "the proxy made no connection"),
    httpx.PoolTimeout: (FaultKind.OVERLOADED, "no connection was free"),
    httpx.TimeoutException: (FaultKind.TIMEOUT, "it did not answer in time"),
    httpx.DecodingError: (FaultKind.MALFORMED, "its answer could not be decompressed"),
    httpx.RemoteProtocolError: (FaultKind.OVERLOADED, "it closed the connection before the answer was whole"),
    httpx.NetworkError: (FaultKind.OVERLOADED, "the connection broke"),
    httpx.UnsupportedProtocol: (FaultKind.MISCONFIGURED, "its URL cannot be used"),
    httpx.LocalProtocolError: (FaultKind.MISCONFIGURED, "its URL or headers cannot be sent"),
    httpx.InvalidURL: (FaultKind.MISCONFIGURED, "its URL cannot be used"),
}
"""What each of httpx's failures is to us; the first class that fits counts."""


@dataclass(frozen=True, slots=True)
class Via:
    """How a target is reached: targets that agree share one pool of connections."""

    proxy: str | None = None
    ca_file: str | None = None


class Upstream:
    """Pools of connections, one for each way of reaching targets."""

    def __init__(self, connect_seconds: float = CONNECT_SECONDS) -> None:
        self._pools: dict[Via, httpx.AsyncBaseTransport] = {}
        self._connect_seconds = connect_seconds

    def pool(self, via: Via) -> httpx.AsyncBaseTransport:
        """The pool of a way, made when first asked for; raises OSError when its certificate file is no such thing."""
        if via not in self._pools:
            self._pools[via] = httpx.AsyncHTTPTransport(
                verify=_tls(via.ca_file), limits=_LIMITS, proxy=via.proxy, trust_env=False
            )
        return self._pools[via]

    async def send(self, request: Request, via: Via, deadline: float, max_answer: int) -> Response | Fault:
        """Sends and reads all before `deadline`, which is on the event loop's clock. Failure is a value.

        An answer of more than `max_answer` bytes, decompressed, is given up as soon as that many have come.
        """
        try:
            async with asyncio.timeout_at(deadline):
                return await self._exchange(request, self.pool(via), max_answer)
        except TimeoutError:
            return Fault(FaultKind.TIMEOUT, "it did not answer in time")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return _fault(error)

    async def _exchange(self, request: Request, pool: httpx.AsyncBaseTransport, max_answer: int) -> Response | Fault:
        timeouts = {"connect": self._connect_seconds, "read": None, "write": None, "pool": None}
        outgoing = httpx.Request(
            request.method,
            request.url,
            headers=dict(request.headers),
            content=request.body,
            extensions={"timeout": timeouts},
        )
        answer = await pool.handle_async_request(outgoing)
        async with contextlib.aclosing(answer):
            body = await _read(answer, max_answer)
        if body is None:
            return Fault(FaultKind.MALFORMED, "its answer is larger than any right one", answer.status_code)
        return Response(answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, body)

    async def keep(self, ways: Collection[Via]) -> None:
        """Closes the pools of all other ways. Nobody may send on them any more."""
        for via in [via for via in self._pools if via not in ways]:
            await self._pools.pop(via).aclose()

    async def close(self) -> None:
        await self.keep(())


async def _read(answer: httpx.Response, most: int) -> bytes | None:
    chunks: list[bytes] = []
    total = 0
    async for chunk in answer.aiter_bytes():
        total += len(chunk)
        if total > most:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def _tls(ca_file: str | None) -> ssl.SSLContext:
    if ca_file is not None:
        return ssl.create_default_context(cafile=ca_file)
    return httpx.create_ssl_context(trust_env=True)  # SSL_CERT_FILE is where a platform's own authorities are


def _fault(error: Exception) -> Fault:
    for kind_of_error, (kind, message) in FAULTS.items():
        if isinstance(error, kind_of_error):
            return Fault(kind, message)
    return Fault(FaultKind.OVERLOADED, "the exchange failed")
