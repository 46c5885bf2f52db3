"""The body of a request as it comes in: whole, in time, and no larger than it may be."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request

from gateway import sent_headers
from gateway.errors import RequestTimeout, RequestTooLarge, UnsupportedEncoding
from gateway.in_time import in_time
from gateway.inputs import quoted
from gateway.wire import parse_object

SMALL: Final = 2**20
"""Bytes of the largest body from an operator."""
SMALL_SECONDS: Final = 20.0


async def read(request: Request, most: int, deadline: float) -> bytes:
    """At most `most` bytes before `deadline`, on the event loop's clock.

    Raises UnsupportedEncoding, RequestTooLarge as soon as that is known, and RequestTimeout.
    """
    sent = sent_headers.of(request.scope)
    encoding = sent.get(b"content-encoding")
    if encoding is not None and encoding.strip().lower() not in (b"", b"identity"):
        named = quoted(encoding.decode("latin-1"))
        raise UnsupportedEncoding(
            f"The request body is `{named}`-encoded; send it uncompressed, without `Content-Encoding`."
        )
    declared = sent.get(b"content-length", b"0")
    if declared.isdigit() and int(declared[:18]) > most:
        raise _too_large(most)
    try:
        body, more = await in_time(_next(request), deadline)
        if more:
            body = await in_time(_joined(request, body, most), deadline)
    except TimeoutError:
        raise RequestTimeout("The request body did not arrive in time. Send it again.") from None
    if len(body) > most:
        raise _too_large(most)
    return body


async def _next(request: Request) -> tuple[bytes, bool]:
    """What has come since, and whether that is not all."""
    message = await request.receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return message.get("body", b""), message.get("more_body", False)


async def _joined(request: Request, begun: bytes, most: int) -> bytes:
    """All of it, or more than there may be."""
    parts, total, more = [begun], len(begun), True
    while more and total <= most:
        part, more = await _next(request)
        parts.append(part)
        total += len(part)
    return b"".join(parts)


async def small_object(request: Request, fields: str) -> dict[str, Any]:
    """The JSON object that an operator sends; `fields` says what has to be in it. Raises InvalidRequest, too."""
    deadline = asyncio.get_running_loop().time() + SMALL_SECONDS
    return parse_object(await read(request, SMALL, deadline), fields)


def _too_large(most: int) -> RequestTooLarge:
    return RequestTooLarge(f"The request body is larger than {most} bytes. Send less in one request.")
